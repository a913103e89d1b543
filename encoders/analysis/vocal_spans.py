"""What is said of the voices of a track; no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VocalSpan:
    """Seconds [start, end) of one kind, ``speech`` or ``singing``, and the mean probability that it is so."""

    start_s: float
    end_s: float
    kind: str
    confidence: float


@dataclass(frozen=True)
class Vocals:
    """Voices in a track.

    Attributes
    ----------
    spans : in their order, apart from each other
    vocal_ratio, speech_ratio : share of the track in which somebody sings or speaks; in which somebody speaks
    confidence : mean probability, over the track, of what is said of each moment
    """

    spans: tuple[VocalSpan, ...]
    vocal_ratio: float
    speech_ratio: float
    confidence: float
