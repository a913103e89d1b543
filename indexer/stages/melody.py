"""The melody of a track: its leading voice, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.analysis.music import melody
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.heard.music import MELODY_STAGE
from retrieval.catalog.records import TrackMelody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.music import TracksMelody
    from indexer.errors import StageError


class MelodyStage(Stage):
    """Pitches of the leading voice, or of the lead instrument."""

    name = MELODY_STAGE
    may_fail = True

    def __init__(self, tracker: TracksMelody) -> None:
        self._tracker = tracker
        self.version = tracker.version
        self.sample_rates = (tracker.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            found = melody(self._tracker, track.audio.waveforms[self._tracker.sample_rate])
        return StageResult([TrackMelody(found.step_s, found.pitches, found.unvoiced, found.confidence)], seconds)
