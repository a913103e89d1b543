"""All that listens to the voices of a track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.analysis.languages import LanguageIdentifier
    from encoders.analysis.vocals import VocalDetector


@dataclass(frozen=True)
class VoiceAnalysis:
    """Where there is a voice, and in which language."""

    vocals: VocalDetector
    languages: LanguageIdentifier
