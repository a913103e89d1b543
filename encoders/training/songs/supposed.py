"""What is supposed of the form of music that nobody annotated: what two systems agree on.

One takes the peaks of the boundary curve (Ullrich, Schlüter & Grill, "Boundary detection in music structure analysis
using convolutional neural networks", ISMIR 2014), the other those of the novelty of the learned features (Foote,
"Automatic audio segmentation using a measure of audio novelty", ICME 2000, on features as of Wang et al., ISMIR 2021).
A track is learnt from where they agree on most; there, what only one of them found is left open, and so is what a
part is for where that is not sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from encoders.analysis.findings import COARSE, FINE
from encoders.analysis.form.segmentation import sections_of
from encoders.models.music.structure import FEATURE_RATE
from encoders.training.songs.forms import Song

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm
    from encoders.analysis.form.segmentation import Curves

_APART_S, _MEAN_S, _ABOVE = 6.0, 18.0, 0.05
_NEAR_S = 3.0
_AGREEMENT, _SURE = 0.5, 0.6
_FEWEST = 3


def peaks(curve: NDArray[np.float64], step_s: float, *, above: float = _ABOVE) -> NDArray[np.float64]:
    """Times in seconds of what stands out of a curve, float64 [T]: largest within 6 s, and so much above its mean."""
    largest = curve >= maximum_filter1d(curve, 2 * round(_APART_S / step_s) + 1)
    standing = curve - uniform_filter1d(curve, 2 * round(_MEAN_S / 2 / step_s) + 1) > above
    return np.asarray((np.flatnonzero(largest & standing) + 0.5) * step_s, np.float64)


def agreement(some: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """F of times that have one of the others within 3 s."""
    if not len(some) or not len(others):
        return 0.0
    met = _near(some, others).mean(), _near(others, some).mean()
    return float(2 * met[0] * met[1] / max(sum(met), 1e-9))


def supposed(name: str, features: NDArray[np.float16], curves: Curves, rhythm: Rhythm) -> Song | None:
    """A track with its supposed form; none where the two systems do not agree on one."""
    by_curve, by_features = (peaks(curve, curves.step_s) for curve in (curves.parts, curves.novelty[:-1]))
    if min(len(by_curve), len(by_features)) < _FEWEST or agreement(by_curve, by_features) < _AGREEMENT:
        return None
    sections = sections_of(curves, rhythm, features.shape[1] / FEATURE_RATE)
    fine = [section for section in sections if section.level == FINE]
    phrases = [(round(p.start_s * FEATURE_RATE), round(p.end_s * FEATURE_RATE), p.group) for p in fine]
    functions = [phrase.label if phrase.confidence >= _SURE else "" for phrase in fine]
    told = np.array([part.start_s for part in sections if part.level == COARSE][1:])
    both = by_curve[_near(by_curve, by_features)]
    doubtful = np.concatenate([told[~_near(told, both)], by_curve[~_near(by_curve, told)], both[~_near(both, told)]])
    return Song(name, features, phrases, functions, tuple(int(time * FEATURE_RATE) for time in doubtful))


def _near(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not len(others):
        return np.zeros(len(some), bool)
    near: NDArray[np.bool_] = np.abs(some[:, None] - others).min(axis=1) <= _NEAR_S
    return near
