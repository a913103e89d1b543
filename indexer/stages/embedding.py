"""The embedding of a track in one space: segment → encode → pool.

A batch of the encoder holds the windows of as many tracks as it takes, so that none, and no core, is left half empty at
a track's end.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.media.segments import pool
from indexer.errors import StageError
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.records import SpaceEmbedding, StageRows, TagScores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from encoders.encoder import Encoder, Encoding
    from encoders.media.segments import Segments

logger = logging.getLogger(__name__)

EMBEDDING = "embedding/"
"""How the names of these stages begin; the space follows."""
TAG_FLOOR = 0.01  # a tagger's score below it is noise and is not stored
WINDOWS_TOGETHER = 64  # two batches of a GPU; three or four tracks in windows of ten seconds


@dataclass(frozen=True)
class _Segmented:
    segments: Segments
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Encoded:
    segments: Segments
    encoding: Encoding
    seconds: Mapping[str, float]


def spaces_of(stages: Iterable[str]) -> list[str]:
    """The spaces that stages of these names fill."""
    return [stage.removeprefix(EMBEDDING) for stage in stages if stage.startswith(EMBEDDING)]


class EmbeddingStage(Stage):
    """One encoder: embeddings of a track and of its segments, and tags where no encoder before it has given them.

    One `of_new` tracks alone is an older version that still answers: they would not be found before the newer one does.
    """

    def __init__(self, encoder: Encoder, *, of_new: bool = False) -> None:
        self._encoder = encoder
        self.name = EMBEDDING + encoder.spec.name
        if of_new:
            self.name, self.beside = EMBEDDING + encoder.version, self.name
        self.version = encoder.version
        self.sample_rates = (encoder.spec.sample_rate,)
        self.batch_s = WINDOWS_TOGETHER * encoder.spec.window_s

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Encode the windows of all tracks as if they were of one."""
        encoded = self._encode(each(self._segment, tracks))
        return each(self._pool, encoded, tracks)

    def _segment(self, track: TrackInput) -> _Segmented:
        seconds: dict[str, float] = {}
        with step("segment", seconds):
            segments = self._encoder.segment(track.audio.waveforms[self._encoder.spec.sample_rate])
        return _Segmented(segments, seconds)

    def _encode(self, segmented: Sequence[_Segmented | StageError]) -> list[_Encoded | StageError]:
        """Encode together; where that fails, each track alone, once, so that the one at fault is found."""
        tracks = [track for track in segmented if isinstance(track, _Segmented)]
        if len(tracks) > 1:
            try:
                together = iter(self._encode_together(tracks))
            except StageError as error:
                logger.debug("%s: %d tracks together: %s", self.name, len(tracks), error)
            else:
                return each(lambda _: next(together), segmented)
        return each(lambda track: self._encode_together([track])[0], segmented)

    def _encode_together(self, tracks: Sequence[_Segmented]) -> list[_Encoded]:
        seconds: dict[str, float] = {}
        with step("encode", seconds):
            encodings = self._encoder.encode_tracks([track.segments.windows for track in tracks])
        window_s = seconds["encode"] / sum(len(track.segments.windows) for track in tracks)
        return [
            _Encoded(track.segments, encoding, {**track.seconds, "encode": window_s * len(track.segments.windows)})
            for track, encoding in zip(tracks, encodings, strict=True)
        ]

    def _pool(self, encoded: _Encoded, track: TrackInput) -> StageResult:
        spec, encoding, segments = self._encoder.spec, encoded.encoding, encoded.segments
        seconds = dict(encoded.seconds)
        with step("pool", seconds):
            track_vector = pool(encoding.embeddings)
            ends_s = (segments.starts_s + spec.window_s).clip(max=track.audio.duration_s)
            rows: list[StageRows] = [
                SpaceEmbedding(spec.name, self.version, track_vector, encoding.embeddings, segments.starts_s, ends_s)
            ]
            tagged = any(isinstance(row, TagScores) for result in track.earlier.values() for row in result.rows)
            if spec.tags and not tagged:
                scores = self._encoder.tags(encoding)
                rows.append(TagScores({tag: score for tag, score in scores.items() if score >= TAG_FLOOR}))
        return StageResult(rows, seconds)
