"""Which stages there are, in the order in which they run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.media import fingerprint
from indexer.stages.accents import AccentsStage
from indexer.stages.embedding import EmbeddingStage
from indexer.stages.fingerprint import FingerprintStage
from indexer.stages.language import LanguageStage
from indexer.stages.melody import MelodyStage
from indexer.stages.rhythm import RhythmStage
from indexer.stages.structure import StructureStage
from indexer.stages.vocals import VocalsStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from encoders.analysis.music import MusicAnalysis
    from encoders.analysis.voices import VoiceAnalysis
    from encoders.encoder import Encoder
    from indexer.stages.stage import Stage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analyses:
    """What listens to tracks and makes no space.

    Attributes
    ----------
    voices : what finds voices and their languages; none where its weights are not here
    music : what finds rhythm and key, form, melody and accents
    """

    voices: VoiceAnalysis | None = None
    music: MusicAnalysis | None = None

    def stages(self) -> list[Stage]:
        """A new stage for each, after those that it needs."""
        stages: list[Stage] = []
        if self.voices is not None:
            stages += [VocalsStage(self.voices.vocals), LanguageStage(self.voices.languages)]
        if self.music is not None:
            music = self.music
            stages += [RhythmStage(music.rhythm), StructureStage(music.form), MelodyStage(music.melody)]
            stages.append(AccentsStage(music.accents))
        return stages


NO_ANALYSES = Analyses()


def stages_with(
    encoders: Sequence[Encoder], of_new: Sequence[Encoder] = (), analyses: Analyses = NO_ANALYSES
) -> list[Stage]:
    """All that is made of a track; what works track by track comes first.

    Parameters
    ----------
    of_new : encoders for tracks that are new, beside the others
    """
    fingerprints = [FingerprintStage()] if fingerprint.is_available() else []
    if not fingerprints:
        logger.info("no fingerprints: pip install 'soundalike[fingerprints]', and libchromaprint from your system")
    beside = (EmbeddingStage(encoder, of_new=True) for encoder in of_new)
    return [*fingerprints, *analyses.stages(), *(EmbeddingStage(encoder) for encoder in encoders), *beside]


def named_stages(stages: Sequence[Stage], names: Iterable[str]) -> list[Stage]:
    """Those of these names, with all that they need of others."""
    wanted = set(names)
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]
