"""The form of a track: its sections, the stretches that represent it, and those that can be looped."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from encoders.analysis.findings import Rhythm
from encoders.analysis.music import form
from indexer.stages.stage import Stage, StageResult, TrackInput, each, step
from retrieval.catalog.heard.music import RHYTHM_STAGE, STRUCTURE_STAGE
from retrieval.catalog.records import HighlightSpan, LoopSpan, SectionSpan, TrackForm, TrackRhythm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.music import AnalysesForm
    from indexer.errors import StageError


class StructureStage(Stage):
    """Sections of both levels, on the bars that the rhythm has."""

    name = STRUCTURE_STAGE
    needs = (RHYTHM_STAGE,)
    may_fail = True

    def __init__(self, analyser: AnalysesForm) -> None:
        self._analyser = analyser
        self.version = analyser.version
        self.sample_rates = (analyser.sample_rate,)

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Listen to each track."""
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        seconds: dict[str, float] = {}
        with step(self.name, seconds):
            (heard,) = (row for row in track.earlier[RHYTHM_STAGE].rows if isinstance(row, TrackRhythm))
            rhythm = Rhythm(heard.tempo_bpm, heard.beats_s, heard.positions, heard.meter, heard.confidence)
            found = form(self._analyser, track.audio.waveforms[self._analyser.sample_rate], rhythm)
            row = TrackForm(
                tuple(SectionSpan(**asdict(section)) for section in found.sections),
                tuple(HighlightSpan(**asdict(highlight)) for highlight in found.highlights),
                tuple(LoopSpan(**asdict(loop)) for loop in found.loops),
            )
        return StageResult([row], seconds)
