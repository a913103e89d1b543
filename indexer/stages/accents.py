"""The accents of a track: what pictures are laid upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.analysis.music import accents
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.heard.music import ACCENTS_STAGE
from retrieval.catalog.records import TrackAccents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.music import TracksAccents
    from indexer.errors import StageError


class AccentsStage(Stage):
    """Onset strength and loudness, many times a second."""

    name = ACCENTS_STAGE
    may_fail = True

    def __init__(self, tracker: TracksAccents) -> None:
        self._tracker = tracker
        self.version = tracker.version
        self.sample_rates = (tracker.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            found = accents(self._tracker, track.audio.waveforms[self._tracker.sample_rate])
        return StageResult([TrackAccents(found.rate, found.onsets, found.loudness)], seconds)
