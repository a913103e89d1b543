"""What is seen in a clip, second by second, and what its embedding and its pulse come to.

A clip is kept as what was seen of it: of another span of it, or after the towers were trained anew, nothing has to be
decoded again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from encoders.models.embeddings.video import pulse_of
from encoders.models.video.efficientnet import seen as seen_in
from encoders.models.video.tower import N_CURVES, batched
from encoders.models.video.words import mood_words
from encoders.tag_vocabulary import TAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from encoders.media.video.footage import Footage
    from encoders.models.video.words import Reason, Words

SEEN_VERSION = "seen-1"
"""Of how clips are kept: what another way has written is not read."""
EVENT_RATE = 25.0
"""Values of `Seen.events` in a second."""
_KINDS = ("motion", "brightness", "saturation", "warmth")
_CUT_S = 0.03  # how wide a cut is among events
_NEAR_S = 8.0  # cuts are counted over so many seconds about a second
_FAINT = 1e-3  # motion of a picture that stands still, but for what coding adds


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of a clip; times in seconds from its start.

    Attributes
    ----------
    from_s : where in its video it starts
    duration_s : 0 for a picture
    features : float16 [n, 1280], of one frame a second
    classes : float16 [n, 1000], how probable each class of ImageNet is in it
    curves : float32 [4, m], motion, brightness, saturation, warmth, each 0 … 1, `rate` values a second
    cuts_s : float64 [k], ascending
    is_still : whether it is a picture
    has_sound : whether its video has any
    is_limited : whether it goes on where the limits of reading ended it
    """

    from_s: float
    duration_s: float
    features: NDArray[np.float16]
    classes: NDArray[np.float16]
    curves: NDArray[np.float32]
    rate: float
    cuts_s: NDArray[np.float64]
    is_still: bool
    has_sound: bool
    is_limited: bool = False

    def between(self, start_s: float, end_s: float) -> Seen:
        """What was seen from one moment to another of the clip; at least the frame that is shown when it starts."""
        first = min(int(start_s), len(self.features) - 1)
        last = max(first + 1, int(np.ceil(end_s)))
        end_s = max(start_s, min(end_s, self.duration_s))
        steps = start_s * self.rate + np.arange(max(1, int(np.ceil((end_s - start_s) * self.rate - 1e-6))))
        curves = np.stack([np.interp(steps, np.arange(len(curve)), curve) for curve in self.curves])
        inside = (self.cuts_s > start_s) & (self.cuts_s < end_s)
        return Seen(
            self.from_s + start_s,
            end_s - start_s,
            self.features[first:last],
            self.classes[first:last],
            curves.astype(np.float32),
            self.rate,
            self.cuts_s[inside] - start_s,
            self.is_still,
            self.has_sound,
        )

    @property
    def events(self) -> NDArray[np.float32]:
        """How much begins to move at each step, 25 steps a second, float32 [steps]: motion that grows."""
        motion = np.sqrt(np.maximum(self._even("motion"), 0))
        return np.maximum(np.diff(motion, prepend=motion[:1]), 0).astype(np.float32)

    @property
    def changes(self) -> NDArray[np.float32]:
        """How fast it grows lighter or darker, likewise."""
        brightness = self._even("brightness")
        return np.abs(np.diff(brightness, prepend=brightness[:1])).astype(np.float32)

    @property
    def energy(self) -> NDArray[np.float32]:
        """How much moves, in the logarithm, likewise."""
        return np.log(self._even("motion") + _FAINT).astype(np.float32)

    @property
    def cuts(self) -> NDArray[np.float32]:
        """Where it is cut, likewise: 1 at a cut, and less beside it."""
        steps = max(1, round(self.duration_s * EVENT_RATE))
        apart = np.arange(steps)[:, None] / EVENT_RATE - self.cuts_s
        near: NDArray[np.float32] = np.exp(-0.5 * (apart / _CUT_S) ** 2).max(axis=1, initial=0.0).astype(np.float32)
        return near

    def curve(self, kind: str) -> NDArray[np.float32]:
        """One of its curves."""
        curve: NDArray[np.float32] = self.curves[_KINDS.index(kind)]
        return curve

    def _even(self, kind: str) -> NDArray[np.float64]:
        curve = self.curve(kind).astype(np.float64)
        times_s = np.arange(max(1, round(self.duration_s * EVENT_RATE))) / EVENT_RATE
        return np.interp(times_s, np.arange(len(curve)) / self.rate, curve)

    def packed(self) -> bytes:
        """All of it, to be kept."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            features=self.features,
            classes=self.classes,
            curves=self.curves.astype(np.float16),
            cuts_s=self.cuts_s,
            spans=np.array([self.from_s, self.duration_s, self.rate]),
            flags=np.array([self.is_still, self.has_sound, self.is_limited]),
        )
        return file.getvalue()

    @classmethod
    def unpacked(cls, kept: bytes) -> Seen:
        """What was packed."""
        with np.load(io.BytesIO(kept), allow_pickle=False) as of:
            from_s, duration_s, rate = of["spans"].tolist()
            flags = of["flags"].tolist()
            curves = of["curves"].astype(np.float32)
            return cls(*(from_s, duration_s, of["features"], of["classes"], curves, rate, of["cuts_s"]), *flags)


@dataclass(frozen=True, eq=False)
class PictureAnalysis:
    """What looks at clips; safe to share between threads.

    Attributes
    ----------
    network : sees what is in frames, ready for work
    tower : lays clips into the space of music and video
    words : say which tags of music go with what is seen
    version : of `network`, and of how what it sees is kept
    encoder_version : of the space
    """

    network: nn.Module
    tower: nn.Module
    words: Words
    version: str
    encoder_version: str

    def look(self, footage: Footage, *, from_s: float = 0.0) -> Seen:
        """What is seen in footage that starts at a moment of its video."""
        return look(footage, self.network, from_s=from_s)

    def embed(self, seen: Seen) -> NDArray[np.float32]:
        """Where a clip lies in the space: float32 [128], L2 norm 1."""
        return embedded(seen, self.tower)

    def suggested(self, seen: Seen) -> tuple[dict[str, float], list[Reason]]:
        """The tags of music that go with a clip, any number by tag, and the words that say so, the weightiest first."""
        classes, moods = seen.classes.astype(np.float32), _moods(seen)
        scores = self.words.scores(classes) + self.words.mood_scores(moods)
        return dict(zip(TAGS, scores.tolist(), strict=True)), self.words.reasons(classes, moods)

    def suggested_by_moods(self, seen: Seen) -> dict[str, float]:
        """The tags of music that go with how a clip looks and moves, whatever it shows; likewise."""
        return dict(zip(TAGS, self.words.mood_scores(_moods(seen)).tolist(), strict=True))


def look(footage: Footage, network: nn.Module, *, from_s: float = 0.0) -> Seen:
    """What a network that is ready for work sees in footage that starts at a moment of its video."""
    features, logits = seen_in(network, footage.frames)
    classes = np.exp(logits - logits.max(axis=1, keepdims=True))
    classes /= classes.sum(axis=1, keepdims=True)
    curves = np.stack([getattr(footage, kind) for kind in _KINDS])
    return Seen(
        from_s,
        footage.duration_s,
        features.astype(np.float16),
        classes.astype(np.float16),
        curves,
        footage.rate,
        footage.cuts_s,
        footage.is_still,
        footage.has_sound,
        footage.is_limited,
    )


def embedded(seen: Seen, tower: nn.Module) -> NDArray[np.float32]:
    """Where a clip lies in the space of music and video: float32 [128], L2 norm 1."""
    with torch.inference_mode():
        vector: NDArray[np.float32] = tower(*batched([inputs_of(seen)]))[0].numpy()
    return vector


def _moods(seen: Seen) -> dict[str, float]:
    """Words for how a clip looks and moves, and their weights."""
    means = {kind: float(seen.curve(kind).mean()) for kind in _KINDS}
    per_minute = 60 * len(seen.cuts_s) / seen.duration_s if seen.duration_s else 0.0
    return mood_words(**means, cuts_per_minute=per_minute)


def inputs_of(seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
    """What the tower takes: features [n, 1280], what is measured of each second [n, 12], pulse [32]."""
    happening = seen.events / (seen.events.std() + _FAINT) + 2 * seen.cuts
    pulse = pulse_of(torch.from_numpy(happening)[None], EVENT_RATE)[0]
    return torch.from_numpy(seen.features.astype(np.float32)), torch.from_numpy(_by_second(seen)), pulse


def _by_second(seen: Seen) -> NDArray[np.float32]:
    """Motion, what begins to move, light, colour and cuts of each second that has a frame: float32 [n, 12]."""
    count = len(seen.features)
    rows = np.zeros((count, N_CURVES), np.float32)
    cuts_at = np.floor(seen.cuts_s).astype(int)
    cuts = np.bincount(np.clip(cuts_at, 0, count - 1), minlength=count).astype(np.float64)
    often = gaussian_filter1d(cuts, _NEAR_S / 2, mode="nearest")
    motion, brightness, saturation, warmth = seen.curves.astype(np.float64)
    events, changes = seen.events, seen.changes
    for second in range(count):
        # The last second may be short, and of a picture there is a single value.
        steps = slice(min(int(second * seen.rate), len(motion) - 1), int((second + 1) * seen.rate) + 1)
        even = slice(min(int(second * EVENT_RATE), len(events) - 1), int((second + 1) * EVENT_RATE))
        moving = np.log(motion[steps] + _FAINT)
        rows[second] = (
            *(moving.mean(), moving.max(), moving.std()),
            *(np.log(events[even].mean() + _FAINT), np.log(events[even].max() + _FAINT)),
            *(brightness[steps].mean(), brightness[steps].std(), np.log(changes[even].mean() + _FAINT / 10)),
            *(saturation[steps].mean(), warmth[steps].mean()),
            *(min(cuts[second], 4.0), np.log(often[second] + 0.01)),
        )
    return rows
