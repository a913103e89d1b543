"""The fingerprint of a track, by which encodings of one recording are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.media import fingerprint
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.records import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.errors import StageError


class FingerprintStage(Stage):
    """Chromaprint, of whatever sample rate is there: it makes nearly no difference."""

    name = "fingerprint"
    version = "1"
    sample_rates = (fingerprint.SAMPLE_RATE,)
    any_rate = True

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Fingerprint each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            waveforms = track.audio.waveforms
            rate = min(waveforms)
            words = fingerprint.fingerprint(waveforms[rate], rate)
        return StageResult([Fingerprint(words)], seconds)
