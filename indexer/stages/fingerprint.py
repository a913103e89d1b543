"""The fingerprint of a track, by which encodings of one recording are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.media import fingerprint
from indexer.stages.stage import Stage, StageResult, each, step
from retrieval.catalog.records import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from encoders.media.decode import DecodedAudio
    from indexer.errors import StageError


class FingerprintStage(Stage):
    """Chromaprint, of whatever sample rate is there: it makes nearly no difference."""

    name = "fingerprint"
    version = "1"
    sample_rates = (fingerprint.SAMPLE_RATE,)
    any_rate = True

    def run(
        self, audio: Sequence[DecodedAudio], earlier: Sequence[Mapping[str, StageResult]]
    ) -> list[StageResult | StageError]:
        """Fingerprint each track."""
        return each(self._analyse, audio)

    def _analyse(self, audio: DecodedAudio) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            rate = min(audio.waveforms)
            words = fingerprint.fingerprint(audio.waveforms[rate], rate)
        return StageResult([Fingerprint(words)], seconds)
