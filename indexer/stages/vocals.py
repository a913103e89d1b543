"""Where somebody sings or speaks in a track."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.records import VocalActivity, VocalSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.vocals import VocalDetector
    from indexer.errors import StageError


class VocalsStage(Stage):
    """Spans of singing and of speech, and their share of the track."""

    name = "vocals"
    may_fail = True

    def __init__(self, detector: VocalDetector) -> None:
        self._detector = detector
        self.version = detector.version
        self.sample_rates = (detector.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            vocals = self._detector.detect(track.audio.waveforms[self._detector.sample_rate])
            spans = [VocalSpan(**asdict(span)) for span in vocals.spans]
        return StageResult([VocalActivity(vocals.vocal_ratio, vocals.speech_ratio, vocals.confidence, spans)], seconds)
