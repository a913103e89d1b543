"""Tempo, beats, bars and key of a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.analysis.music import rhythm_and_key
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.heard.music import RHYTHM_STAGE
from retrieval.catalog.records import TrackRhythm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.music import TracksRhythm
    from indexer.errors import StageError


class RhythmStage(Stage):
    """Beats with their place in the bar, and what most of the track keeps: tempo, metre, key."""

    name = RHYTHM_STAGE
    may_fail = True

    def __init__(self, tracker: TracksRhythm) -> None:
        self._tracker = tracker
        self.version = tracker.version
        self.sample_rates = (tracker.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            rhythm, key = rhythm_and_key(self._tracker, track.audio.waveforms[self._tracker.sample_rate])
            row = TrackRhythm(
                rhythm.tempo_bpm,
                rhythm.meter,
                rhythm.confidence,
                rhythm.beats_s,
                rhythm.positions,
                key.tonic if key else None,
                key.mode if key else None,
                key.confidence if key else 0.0,
            )
        return StageResult([row], seconds)
