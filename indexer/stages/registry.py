"""Which stages there are, in the order in which they run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from encoders.media import fingerprint
from indexer.stages.embedding import EmbeddingStage
from indexer.stages.fingerprint import FingerprintStage
from indexer.stages.language import LanguageStage
from indexer.stages.vocals import VocalsStage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.analysis.voices import VoiceAnalysis
    from encoders.encoder import Encoder
    from indexer.stages.stage import Stage

logger = logging.getLogger(__name__)


def stages_with(
    encoders: Sequence[Encoder], of_new: Sequence[Encoder] = (), voices: VoiceAnalysis | None = None
) -> list[Stage]:
    """All that is made of a track; what works track by track comes first.

    Parameters
    ----------
    of_new : encoders for tracks that are new, beside the others
    voices : what finds voices and their languages; none where its weights are not here
    """
    fingerprints = [FingerprintStage()] if fingerprint.is_available() else []
    if not fingerprints:
        logger.info("no fingerprints: pip install 'soundalike[fingerprints]', and libchromaprint from your system")
    of_voices = [VocalsStage(voices.vocals), LanguageStage(voices.languages)] if voices else []
    beside = (EmbeddingStage(encoder, of_new=True) for encoder in of_new)
    return [*fingerprints, *of_voices, *(EmbeddingStage(encoder) for encoder in encoders), *beside]
