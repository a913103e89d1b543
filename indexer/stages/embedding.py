"""Files on their way through the pipeline, and several of them encoded as one.

A batch holds the windows of as many tracks as it takes, so that none, and no core, is left half empty at a track's end.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from encoders.encoder import Encoder, Encoding
    from encoders.media.segments import Segments
    from indexer.file_tags import FileTags
    from indexer.scan import ScannedFile

logger = logging.getLogger(__name__)

WINDOWS_TOGETHER = 64  # two batches of a GPU; three or four tracks in windows of ten seconds


@dataclass(frozen=True)
class Prepared:
    """A file that is ready for the encoders: its windows by space; none of them when its audio is known already.

    Attributes
    ----------
    fingerprint : int32 [n_words], or none where it is known already, or nothing is there to compute it
    """

    file: ScannedFile
    content_hash: str
    tags: FileTags
    duration_s: float
    segments: Mapping[str, Segments]
    seconds: Mapping[str, float]
    fingerprint: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Encoded:
    """What came of one file among others: encodings by space, and its share of the seconds."""

    encodings: Mapping[str, Encoding]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of one file: ``indexed``, ``unchanged`` or ``failed`` (then with stage and reason)."""

    file: ScannedFile
    status: str
    duration_s: float = 0.0
    stage: str | None = None
    reason: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def grouped(items: Iterable[Prepared | Outcome]) -> Iterator[list[Prepared | Outcome]]:
    """Items in their order, in groups that hold enough windows; an outcome waits only behind what does."""
    group: list[Prepared | Outcome] = []
    n_windows = 0
    for item in items:
        group.append(item)
        if isinstance(item, Prepared):
            n_windows += max((len(segments.windows) for segments in item.segments.values()), default=0)
        if not n_windows or n_windows >= WINDOWS_TOGETHER:
            yield group
            group, n_windows = [], 0
    if group:
        yield group


def encode_together(group: Sequence[Prepared], encoders: Sequence[Encoder]) -> Iterator[Encoded]:
    """Encode the windows of several prepared files, as if they were one; for each file, what came of it.

    Where that fails, all files of the group go without: each is then encoded alone, and the one at fault is found.
    """
    encoded = [Encoded({}, 0.0) for _ in group]
    for encoder in encoders:
        waiting = [number for number, item in enumerate(group) if encoder.spec.name in item.segments]
        windows = [group[number].segments[encoder.spec.name].windows for number in waiting]
        if len(windows) > 1:
            start = time.perf_counter()
            try:
                encodings = encoder.encode_tracks(windows)
            except Exception:
                logger.debug("%s failed on %d files together", encoder.spec.name, len(windows), exc_info=True)
                continue
            window_s = (time.perf_counter() - start) / sum(map(len, windows))
            for number, encoding in zip(waiting, encodings, strict=True):
                before = encoded[number]
                seconds = before.seconds + window_s * len(encoding.embeddings)
                encoded[number] = Encoded({**before.encodings, encoder.spec.name: encoding}, seconds)
    return iter(encoded)
