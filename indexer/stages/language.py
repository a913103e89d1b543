"""In which languages a track is sung or spoken: by its voices, and by what is written of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from encoders.analysis.vocal_spans import Vocals
from encoders.analysis.vocal_spans import VocalSpan as HeardSpan
from encoders.models.language.text import TrackText, read_text
from indexer.lyrics import read_language, read_lyrics
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.records import LanguageRatios, LanguageSpan, VocalActivity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.languages import LanguageIdentifier
    from indexer.errors import StageError


class LanguageStage(Stage):
    """Shares of the vocal time by language."""

    name = "language"
    needs = ("vocals",)
    may_fail = True
    reads_tags = True

    def __init__(self, identifier: LanguageIdentifier) -> None:
        self._identifier = identifier
        self.version = identifier.version
        self.sample_rates = (identifier.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to and read each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            (heard,) = (row for row in track.earlier["vocals"].rows if isinstance(row, VocalActivity))
            vocals = Vocals(
                tuple(HeardSpan(**asdict(span)) for span in heard.spans),
                heard.vocal_ratio,
                heard.speech_ratio,
                heard.confidence,
            )
            found = self._identifier.identify(
                track.audio.waveforms[self._identifier.sample_rate], vocals, read_text(_written(track))
            )
            spans = [LanguageSpan(**asdict(span)) for span in found.spans]
        return StageResult([LanguageRatios(found.ratios, found.confidence, spans, found.evidence)], seconds)


def _written(track: TrackInput) -> TrackText:
    tags, path = track.tags, track.path
    return TrackText(
        title=tags.title,
        artist=tags.artist,
        album=tags.album,
        lyrics=read_lyrics(path) if path else None,
        language=read_language(path) if path else None,
    )
