"""A clip as it is asked with: where it lies in the space of music and video, what happens in it, what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

RATE = 25.0
"""Values of a clip's curves in a second."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip, or a picture.

    Attributes
    ----------
    vector : float32 [dim], in the space of music and video
    encoder_version : of that space
    duration_s : 0 for a picture
    events, changes, cuts, energy : float32 [n] each: how much begins to move, how fast the light changes, where it is
        cut, how much moves in the logarithm
    cuts_s : float64 [k], ascending
    tags : what music its pictures suggest by their words, any number by tag; none where nobody looked for words
    words : what suggests it, as (word, tag), the strongest first
    """

    vector: NDArray[np.float32]
    encoder_version: str
    duration_s: float
    events: NDArray[np.float32]
    changes: NDArray[np.float32]
    cuts: NDArray[np.float32]
    energy: NDArray[np.float32]
    cuts_s: NDArray[np.float64]
    tags: Mapping[str, float] = field(default_factory=dict)
    words: Sequence[tuple[str, str]] = ()

    @property
    def cuts_per_minute(self) -> float:
        """0 for a picture."""
        return 60 * len(self.cuts_s) / self.duration_s if self.duration_s else 0.0
