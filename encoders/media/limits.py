"""How long audio may be. Settings name it, which nothing that decodes is loaded for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaLimits:
    """Shortest and longest audio that is accepted, in seconds."""

    min_duration_s: float = 1.0
    max_duration_s: float = 3600.0


DEFAULT_LIMITS = MediaLimits()
