"""What is most likely over time, where each moment was heard by itself: a hidden Markov model with sticky states.

A state is left after `mean_stay_s` on average, for any other alike. Rabiner, "A tutorial on hidden Markov models and
selected applications in speech recognition", Proc. IEEE 1989, sections III.A (forward–backward) and III.B (Viterbi).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def posteriors(
    likelihoods: NDArray[np.float64], gaps_s: NDArray[np.float64], mean_stay_s: float, prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities of each state at each moment, given all of them.

    Parameters
    ----------
    likelihoods : float64 [n, states], of what was heard at a moment, up to a factor; all alike where nothing was
    gaps_s : float64 [n - 1], from a moment to the next
    mean_stay_s : how long a state lasts
    prior : float64 [states], how common a state is

    Returns
    -------
    float64 [n, states], rows adding up to 1
    """
    forward, backward = np.empty_like(likelihoods), np.empty_like(likelihoods)
    kept = np.exp(-gaps_s / mean_stay_s)
    state = prior
    for moment, likelihood in enumerate(likelihoods):
        if moment:
            state = kept[moment - 1] * state + (1 - kept[moment - 1]) * prior
        state = state * likelihood
        state = state / state.sum()
        forward[moment] = state
    state = np.ones_like(prior)
    for moment in range(len(likelihoods) - 1, -1, -1):
        backward[moment] = state
        if moment:
            state = state * likelihoods[moment]
            state = kept[moment - 1] * state + (1 - kept[moment - 1]) * (prior @ state)
            state = state / state.sum()
    both = forward * backward
    both /= both.sum(axis=1, keepdims=True)
    return both


def most_likely(log_likelihoods: NDArray[np.float64], log_transitions: NDArray[np.float64]) -> NDArray[np.int64]:
    """The most likely sequence of states (Viterbi).

    Parameters
    ----------
    log_likelihoods : float64 [n, states]
    log_transitions : float64 [states, states], from the row's to the column's

    Returns
    -------
    int64 [n]
    """
    came_from = np.zeros(log_likelihoods.shape, np.int64)
    best = log_likelihoods[0]
    for moment in range(1, len(log_likelihoods)):
        reached = best[:, None] + log_transitions
        came_from[moment] = reached.argmax(axis=0)
        best = reached.max(axis=0) + log_likelihoods[moment]
    states = np.empty(len(log_likelihoods), np.int64)
    states[-1] = best.argmax()
    for moment in range(len(states) - 1, 0, -1):
        states[moment - 1] = came_from[moment, states[moment]]
    return states


def runs(states: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Stretches of one state, as (start, end, state)."""
    borders = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    return [(start, end, int(states[start])) for start, end in pairwise(borders) if end > start]
