"""Labels of the user's own, from a folder as label/file: its files become tracks by what they contain.

A file is known by the sha256 of its bytes, which the catalogue keeps of every track: so it may lie elsewhere than where
it was indexed, and under any key. Files of the same content are one track, and so are tracks of the same file, of which
the first stands for all: a copy would be its own nearest neighbour. What stands under several labels counts under none.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.index.ascending import contained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog

NAMED = 3
"""So many are named where more are counted."""


@dataclass(frozen=True)
class LabelledFile:
    """One file by its path below the folder, the label that it stands under, and the sha256 of its bytes."""

    name: str
    label: str
    content_hash: str


@dataclass(frozen=True)
class FolderLabels:
    """What a folder says: `warnings` of what could not be read or bears no label; `source` is the folder."""

    source: str
    files: Sequence[LabelledFile]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class TrackLabels:
    """The tracks of n files.

    Attributes
    ----------
    track_ids : int64 [n] ascending
    labels : int64 [n], into `names`
    names : every label of the folder, in their order, also where no track bears it
    not_found : files that are not in the space
    warnings : of the folder, and of what did not count
    """

    source: str
    track_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: Sequence[str]
    not_found: Sequence[str]
    warnings: list[str]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many tracks bear each label, int64 [len(names)]."""
        return np.bincount(self.labels, minlength=len(self.names))


def track_labels(
    catalog: Catalog, folder: FolderLabels, track_ids: NDArray[np.int64], spaces: Sequence[str]
) -> TrackLabels:
    """Find the tracks of a folder's files.

    Parameters
    ----------
    track_ids : int64 ascending, those that can be found: what every one of `spaces` holds

    Raises
    ------
    EvaluationError
        If fewer than two labels have two tracks.
    """
    found = _first_found(catalog.ids_by_content([file.content_hash for file in folder.files]), track_ids)
    labels, warnings = _one_label_each(folder.files)
    not_found = [file.name for file in folder.files if file.content_hash not in found]
    where = ("space " if len(spaces) == 1 else "spaces ") + " and ".join(map(repr, spaces))
    indexing = shlex.join(["soundalike", "index", folder.source, *(f"--space={name}" for name in spaces)])
    if not_found:
        missing = named(not_found, f"of {len(folder.files):,} files")
        warnings.append(f"not in {where}, and left out: {missing}; `{indexing}` brings them in")
    names = sorted({file.label for file in folder.files})
    pairs = sorted((found[content], names.index(label)) for content, label in labels.items() if content in found)
    ids, numbers = (np.array([pair[part] for pair in pairs], np.int64) for part in (0, 1))
    counts = np.bincount(numbers, minlength=len(names)).tolist()
    if sum(count > 1 for count in counts) < 2:
        sizes = named([f"{name} {count}" for name, count in zip(names, counts, strict=True)], "label")
        reason = f"{folder.source}: fewer than two labels have two tracks in {where}, of {sizes}"
        accepted = "two tracks or more under each of two labels or more"
        raise EvaluationError("; ".join([reason, *folder.warnings, *warnings]), accepted)
    alone = [name for name, count in zip(names, counts, strict=True) if count == 1]
    if alone:
        warnings.append(f"a label of a single track cannot ask, but is found: {named(alone, 'label')}")
    return TrackLabels(folder.source, ids, numbers, names, not_found, [*folder.warnings, *warnings])


def named(names: Sequence[str], noun: str) -> str:
    """How many there are, and the first few; empty for none."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    plural = "s" if len(names) > 1 and not noun.endswith("s") else ""
    return f"{len(names):,} {noun}{plural}: {', '.join(names[:NAMED])}{more}"


def _one_label_each(labelled: Iterable[LabelledFile]) -> tuple[dict[str, str], list[str]]:
    """The label of each content that has one alone, and what did not count for having more, or for being a copy."""
    names: dict[str, dict[str, list[str]]] = {}
    for file in labelled:
        names.setdefault(file.content_hash, {}).setdefault(file.label, []).append(file.name)
    labels, several, copies = dict[str, str](), list[str](), list[str]()
    for content, by_label in names.items():
        first, *others = (name for under in by_label.values() for name in under)
        if len(by_label) > 1:
            several += [first, *others]
        else:
            labels[content] = next(iter(by_label))
            copies += others
    why = {"under several labels, and so left out": several, "copies of others of their label, counted once": copies}
    return labels, [f"{said}: {named(files, 'file')}" for said, files in why.items() if files]


def _first_found(by_content: Mapping[str, Sequence[int]], track_ids: NDArray[np.int64]) -> dict[str, int]:
    """The first of the tracks of each content that can be found."""
    return {
        content: int(np.array(ids)[there][0])
        for content, ids in by_content.items()
        if (there := contained(np.array(ids, np.int64), track_ids)).any()
    }
