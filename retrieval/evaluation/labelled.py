"""A space by labels of the user's own: whether the nearest tracks bear the label of the track that asks.

Only labelled tracks ask, and only they are found: what bears no label is neither right nor wrong. Measures and their
levels by chance are those of `same_label`; by label, they are the means over its own tracks. Which label is taken for
which is counted by the nearest neighbour alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.measures import same_label
from retrieval.evaluation.measures.significance import bootstrap
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.results.spaces import LabelEvaluation, LabelledTracks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.evaluation.inputs.folder_labels import TrackLabels
    from retrieval.evaluation.measures.same_label import Placed
    from retrieval.evaluation.measures.significance import Interval
    from retrieval.index.protocol import IndexView

SAME_LABEL = "same label"


@dataclass(frozen=True, eq=False)
class LabelMeasures:
    """The labelled tracks of one space, measured.

    Attributes
    ----------
    rows : int64 [m] ascending, of the tracks that ask, into those of `labelled`
    places : of these
    per_query : float64 [m] by measure
    """

    labelled: TrackLabels
    rows: NDArray[np.int64]
    places: list[Placed]
    per_query: Mapping[str, NDArray[np.float64]]

    @property
    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """The values of every query, float64 [m], by the name of the metric."""
        return {f"{SAME_LABEL} {measure}": values for measure, values in self.per_query.items()}

    @property
    def chance(self) -> dict[str, float]:
        """By the name of the metric."""
        levels = same_label.by_chance(self.places, same_label.OF_FOLDERS)
        return {f"{SAME_LABEL} {measure}": level for measure, level in levels.items()}


def measure_labels(view: IndexView, labelled: TrackLabels, sample: int, seed: int) -> LabelMeasures:
    """Rank the labelled tracks of one space for those of them that ask: with a second track of their label.

    Parameters
    ----------
    sample : at most so many ask, drawn by `seed`: the same ones in every space
    """
    rows = np.flatnonzero(labelled.counts[labelled.labels] > 1)
    if sample < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=sample, replace=False))
    places = same_label.placed(track_vectors(view, labelled.track_ids), labelled.labels, rows)
    return LabelMeasures(labelled, rows, places, same_label.values(places, same_label.OF_FOLDERS))


def label_intervals(measures: LabelMeasures, seed: int) -> dict[str, Interval]:
    """Every metric with its interval."""
    return _intervals(measures.metrics, seed)


def by_label(measures: LabelMeasures, seed: int) -> LabelledTracks:
    """What the measures come to by label."""
    labelled, asking = measures.labelled, measures.labelled.labels[measures.rows]
    nearest = labelled.labels[[place.nearest for place in measures.places]]
    rows = []
    for number, (name, tracks) in enumerate(zip(labelled.names, labelled.counts.tolist(), strict=True)):
        own = np.flatnonzero(asking == number)
        found = Counter(labelled.names[label] for label in nearest[own].tolist())
        rows.append(
            LabelEvaluation(
                name,
                tracks,
                len(own),
                _intervals({measure: values[own] for measure, values in measures.per_query.items()}, seed),
                same_label.by_chance([measures.places[row] for row in own[:1]], same_label.OF_FOLDERS),
                dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))),
            )
        )
    return LabelledTracks(labelled.source, len(labelled.track_ids), len(measures.rows), rows, labelled.not_found)


def _intervals(values: Mapping[str, NDArray[np.float64]], seed: int) -> dict[str, Interval]:
    return dict(zip(values, bootstrap(np.stack(list(values.values()), axis=1), seed=seed), strict=True))
