"""Which stages there are, in the order in which they run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from encoders.media import fingerprint
from indexer.stages.embedding import EmbeddingStage
from indexer.stages.fingerprint import FingerprintStage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encoders.encoder import Encoder
    from indexer.stages.stage import Stage

logger = logging.getLogger(__name__)


def stages_with(encoders: Sequence[Encoder], of_new: Sequence[Encoder] = ()) -> list[Stage]:
    """All that is made of a track, with these encoders; what works track by track comes first.

    Parameters
    ----------
    of_new : encoders for tracks that are new, beside the others
    """
    fingerprints = [FingerprintStage()] if fingerprint.is_available() else []
    if not fingerprints:
        logger.info("no fingerprints: pip install 'soundalike[fingerprints]', and libchromaprint from your system")
    beside = (EmbeddingStage(encoder, of_new=True) for encoder in of_new)
    return [*fingerprints, *(EmbeddingStage(encoder) for encoder in encoders), *beside]
