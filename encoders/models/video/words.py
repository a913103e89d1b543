"""Which tags of music go with pictures, by way of words: made without any pair of video and music.

What is seen (ImageNet's classes) and how it looks and moves (ten words) have weights on the tags that listeners give
music, by how near sentences about both are to a sentence encoder (:mod:`encoders.training.videos.words`). It is the
zero-shot transfer of Frome et al., "DeViSE", NIPS 2013, with tags in place of classes that were never seen; and it can
say why: each score is a sum over words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from encoders.errors import ShapeError
from encoders.models.video.efficientnet import CLASSES, class_names
from encoders.spec import NetworkSpec
from encoders.tag_vocabulary import TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

MOODS: tuple[str, ...] = (
    *("dark", "bright", "warm", "cold", "grey", "colourful"),
    *("still", "calm", "fast", "frantic"),
)
"""Words for colours, then for motion and cuts."""

_NOTHING = 1e-6


@dataclass(frozen=True)
class Reason:
    """One word's part in a tag's score."""

    word: str
    tag: str
    weight: float


class Words(nn.Module):
    """Both matrices: what each class and each word for moods says of each tag."""

    classes: Tensor
    moods: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("classes", torch.zeros(CLASSES, len(TAGS)))
        self.register_buffer("moods", torch.zeros(len(MOODS), len(TAGS)))

    def scores(self, class_probabilities: Scores) -> Scores:
        """Say which tags go with what is seen.

        Parameters
        ----------
        class_probabilities : float32 [n_frames, 1000], rows that sum to 1: softmax of the network's logits

        Returns
        -------
        float32 [62] in the order of `TAGS`, about −0.5 to 0.5: 0 is a tag of which the pictures say nothing

        Raises
        ------
        ShapeError
            If there is no frame, or another number of classes.
        """
        scores: Scores = _mean(class_probabilities) @ self.classes.numpy()
        return scores

    def mood_scores(self, words: Mapping[str, float]) -> Scores:
        """Say which tags go with words of `MOODS` by their weights; float32 [62], which may be added to `scores`."""
        scores: Scores = _weights(words) @ self.moods.numpy()
        return scores

    def reasons(
        self, class_probabilities: Scores, words: Mapping[str, float] | None = None, *, count: int = 5
    ) -> list[Reason]:
        """List the words that add most to the tags they speak for, the weightiest first, at most `count`.

        A word stands once, with the tag to which it adds most. What it adds is positive: reasons are for, not against.

        Raises
        ------
        ShapeError
            As `scores`.
        """
        parts = [*zip(class_names(), _mean(class_probabilities)[:, None] * self.classes.numpy(), strict=True)]
        parts += zip(MOODS, _weights(words or {})[:, None] * self.moods.numpy(), strict=True)
        best = [Reason(word, TAGS[row.argmax()], float(row.max())) for word, row in parts]
        best = [reason for reason in best if reason.weight > 0]
        return sorted(best, key=lambda reason: -reason.weight)[:count]


def mood_words(
    *, brightness: float, warmth: float, saturation: float, motion: float, cuts_per_minute: float
) -> dict[str, float]:
    """Put how a clip looks and moves into words.

    Each word grows from 0 to 1 between two values that are stated below; those that are 0 are left out.

    Parameters
    ----------
    brightness, warmth, saturation, motion : means of the curves of `Footage`, 0 to 1
    cuts_per_minute : shots less one, by the minute

    Returns
    -------
    word of `MOODS` → weight in (0, 1]
    """
    pace = max(_rise(motion, *_MOVING), _rise(cuts_per_minute, *_CUT_OFTEN))
    hurry = max(_rise(motion, *_RUSHING), _rise(cuts_per_minute, *_CUT_WILDLY))
    still = min(1 - _rise(motion, *_STIRRING), 1 - _rise(cuts_per_minute, *_CUT_AT_ALL))
    weights = {
        "dark": 1 - _rise(brightness, *_DARK),
        "bright": _rise(brightness, *_BRIGHT),
        "warm": _rise(warmth, *_WARM),
        "cold": 1 - _rise(warmth, *_COLD),
        "grey": 1 - _rise(saturation, *_GREY),
        "colourful": _rise(saturation, *_COLOURFUL),
        "still": still,
        "calm": max(0.0, 1 - pace - still),
        "fast": max(0.0, pace - hurry),
        "frantic": hurry,
    }
    return {word: weight for word, weight in weights.items() if weight > 0}


_DARK, _BRIGHT = (0.1, 0.35), (0.5, 0.75)
_COLD, _WARM = (0.4, 0.48), (0.52, 0.62)
_GREY, _COLOURFUL = (0.08, 0.25), (0.4, 0.7)
# A camera that pans over a photograph by 2 % of its width in a second makes 0.09 of motion, by 10 % 0.4, by 20 % 0.58
# (medians of 39 pictures): these are a drift, a walk and a chase.
_STIRRING, _MOVING, _RUSHING = (0.01, 0.08), (0.1, 0.4), (0.5, 0.9)
# Films have a cut every 4 s or so (Cutting et al., i-Perception 2011), trailers every second.
_CUT_AT_ALL, _CUT_OFTEN, _CUT_WILDLY = (1.0, 4.0), (8.0, 24.0), (30.0, 60.0)
"""Where a word begins and where it is full."""


def _mean(class_probabilities: Scores) -> Scores:
    if class_probabilities.ndim != 2 or class_probabilities.shape[1] != CLASSES or not len(class_probabilities):
        raise ShapeError(
            f"probabilities are [frames, {CLASSES}], of a frame or more, not {list(class_probabilities.shape)}"
        )
    mean: Scores = class_probabilities.mean(axis=0, dtype=np.float32)
    return mean


def _weights(words: Mapping[str, float]) -> Scores:
    unknown = words.keys() - set(MOODS)
    if unknown:
        raise ValueError(f"no words for a mood: {', '.join(sorted(unknown))}; there are {', '.join(MOODS)}")
    return np.array([words.get(word, 0.0) for word in MOODS], np.float32)


def _rise(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end`, straight between them."""
    return min(1.0, max(0.0, (value - start) / (end - start)))


SPEC = NetworkSpec(
    name="video-words",
    build=Words,
    reference="after Frome et al., DeViSE, NIPS 2013",
    license="Apache-2.0",
)
