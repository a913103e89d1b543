"""Versions of one recording: the same sound under two names, twice in a catalogue.

Two tracks are versions when their embeddings and durations agree, and, where both have one, their Chromaprint
fingerprints too (acoustid.org/chromaprint; compared by their bits as Haitsma & Kalker do, A highly robust audio
fingerprinting system, ISMIR 2002). A fingerprint is a row of 32-bit words, 8.08 a second.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

MIN_COSINE = 0.98
"""Measured in three spaces: 64 kbit/s or a start cut by 1.5 s leave a track above this (65 times of 66), while no two
of 112 tracks come nearer than 0.967. A change of tone or speed may leave a version below: it then stands by itself."""
SURE_COSINE = 0.995
"""Above this sound and duration alone are enough to leave a track out unasked."""
MAX_DIFFERENCE_S = 2.0
MAX_DIFFERENCE_RATIO = 0.01
MIN_AGREEMENT = 1 - 10 / 32
"""Chromaprint's own matcher joins what differs in fewer than 10 bits a word; unrelated sound differs in 16."""
MAX_SHIFT = 80
"""Words, about 10 s: how much more silence, or introduction, a version may have before it."""

Fingerprints = Callable[[NDArray[np.int64]], Sequence[NDArray[np.int32] | None]]
"""Positions int64 [m] → their fingerprints, int32 [n_words] each, or none where a track has none."""


def fold_duplicates(
    vectors: NDArray[np.float32],
    durations_s: NDArray[np.float64],
    fingerprints: Fingerprints | None = None,
    *,
    min_cosine: float = MIN_COSINE,
    min_agreement: float = MIN_AGREEMENT,
    min_cosine_alone: float = 0.0,
) -> NDArray[np.int64]:
    """Find, for every candidate, the first candidate that it is a version of.

    A candidate is compared only with earlier ones that are versions of no other, so a chain of likenesses can't fold
    two tracks that are not alike, and one that stands for others always stands for itself.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1, best candidate first
    durations_s : float64 [n]; versions differ by 2 s or 1 % at most, whichever is more
    fingerprints : asked once for those of the candidates that sound like another, if any do; without one on both
        sides, sound and duration decide

    min_cosine_alone : where there is no fingerprint on both sides

    Returns
    -------
    int64 [n], positions; its own for a candidate that is a version of none
    """
    first = np.arange(len(vectors), dtype=np.int64)
    alike = _alike(vectors, durations_s, min_cosine)
    asked = np.unique(np.concatenate([*alike.values(), np.fromiter(alike, np.int64)]))
    known = dict(zip(asked.tolist(), fingerprints(asked), strict=True)) if fingerprints and len(asked) else {}
    for position, later in alike.items():
        if first[position] == position:
            free = later[first[later] == later]
            ours, cosines = known.get(position), vectors[free] @ vectors[position]
            same = [
                cosine >= min_cosine_alone  # at least `min_cosine`, or it would not stand here
                if ours is None or (theirs := known.get(other)) is None
                else agreement(ours, theirs) >= min_agreement
                for other, cosine in zip(free.tolist(), cosines.tolist(), strict=True)
            ]
            first[free[np.array(same, bool)]] = position
    return first


def agreement(first: NDArray[np.int32], second: NDArray[np.int32], *, max_shift: int = MAX_SHIFT) -> float:
    """Share of equal bits of two fingerprints where they match best, shifted by up to `max_shift` words.

    Shifts that leave less than half of the shorter one to compare do not count: few bits agree by chance.

    Parameters
    ----------
    first, second : int32 [n_words], any lengths

    Returns
    -------
    In [0, 1]; about 0.5 for unrelated sound, 0 when one is empty
    """
    shorter = min(len(first), len(second))
    if not shorter:
        return 0.0
    best = 0.0
    for shift in range(-max_shift, max_shift + 1):
        one, other = first[max(shift, 0) :], second[max(-shift, 0) :]
        overlap = min(len(one), len(other))
        if 2 * overlap >= shorter:
            different = np.bitwise_count((one[:overlap] ^ other[:overlap]).view(np.uint32)).sum(dtype=np.int64)
            best = max(best, 1 - int(different) / (32 * overlap))
    return best


def _alike(
    vectors: NDArray[np.float32], durations_s: NDArray[np.float64], min_cosine: float
) -> dict[int, NDArray[np.int64]]:
    """The later positions, int64 [≥ 1], that sound like an earlier one and last as long: by the earlier, ascending."""
    alike = {}
    for position in range(len(vectors)):
        later = position + 1 + np.flatnonzero(_same_length(durations_s[position + 1 :], durations_s[position]))
        later = later[vectors[later] @ vectors[position] >= min_cosine]
        if len(later):
            alike[position] = later
    return alike


def _same_length(durations_s: NDArray[np.float64], duration_s: float) -> NDArray[np.bool_]:
    tolerance_s = np.maximum(MAX_DIFFERENCE_S, MAX_DIFFERENCE_RATIO * np.maximum(durations_s, duration_s))
    same: NDArray[np.bool_] = np.abs(durations_s - duration_s) <= tolerance_s
    return same
