"""From examples to the vectors to search with, and to scores: recommendation by positives and negatives, and paths.

The strategies are those of Qdrant's recommendation API (qdrant.tech/documentation/concepts/explore, "Recommendation
API"), with a weight for every example. With a candidate x, positives p_i of weight w_i and negatives n_j of weight v_j,
all of norm 1:

- ``average_vector``: score = (1 + cos(q, x)) / 2, where q is the direction of P + (P − N) with negatives and of P
  without, P = Σ w_i p_i / Σ w_i and N = Σ v_j n_j / Σ v_j. One point of taste; the fastest.
- ``sum_scores``: score = (1 + s) / 2, where s = (Σ w_i cos(p_i, x) − Σ v_j cos(n_j, x)) / (Σ w_i + Σ v_j).
- ``best_score``: near any one positive is good. The distance to an example is d = (1 − cos) / 2, and its weight says
  how far it reaches: D(x) = min_i d(p_i, x) W / w_i, with W the heaviest positive's weight. An example of half that
  weight so makes everything seem twice as far, and a track equal to any positive always scores 1. E(x) is the same over
  the negatives, with the same W. Without negatives score = 1 − D. With negatives, score = 1 − D / 2, at least 1/2,
  unless the best negative is nearer (E < D): then score = E / 2, below 1/2 and the lower the nearer it is.

Scores lie in [0, 1]. They depend on the ratios of the weights alone. Only ratios within one side matter for
``average_vector``; for the others also those between the sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.counting import counted
from retrieval.errors import QueryError

Strategy = Literal["average_vector", "best_score", "sum_scores"]
MIN_NORM = 1e-6
"""Of what examples leave of each other, relative to their weight: anything shorter is rounding, not a direction."""
MIN_WEIGHT, MAX_WEIGHT = 1e-30, 1e30
"""Beyond, their sums and ratios leave float64."""
ROUNDING = 1e-6
"""What a product of many rows differs by from that of a few: it must not decide on which side a track stands."""
MAX_HALVINGS = 60
"""Of a recency weight. Past it a weight changes no sum of float64 numbers, and it must not become 0."""

PathSearch = Callable[[NDArray[np.float32], int], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Unit vectors float32 [m, dim] and k → their nearest: ids int64 [m, k], −1 where fewer, and vectors [m, k, dim]."""


@dataclass(frozen=True, eq=False)
class Example:
    """Something to be like, or unlike.

    Attributes
    ----------
    vector : float32 [dim], L2 norm 1
    weight : above 0, 1e-30 to 1e30
    name : what an explanation calls it
    """

    vector: NDArray[np.float32]
    weight: float = 1.0
    name: str = ""


@dataclass(frozen=True, eq=False)
class Stop:
    """A track on a path: its id and its vector, float32 [dim], L2 norm 1."""

    track_id: int
    vector: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Path:
    """Tracks from one to another.

    Attributes
    ----------
    track_ids : int64 [n_tracks], both ends included, none twice
    cosines : float64 [n_tracks − 1], of each track to the next: how smooth the path is
    reason : why it is shorter than asked for, or none
    """

    track_ids: NDArray[np.int64]
    cosines: NDArray[np.float64]
    reason: str | None


def score_of(cosines: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (1 + cos) / 2: higher is better.

    Parameters
    ----------
    cosines : [...], of vectors whose norms may be off 1 by rounding

    Returns
    -------
    float64 [...], in [0, 1]
    """
    score: NDArray[np.float64] = np.clip((1 + np.asarray(cosines, np.float64)) / 2, 0, 1)
    return score


def queries(
    positives: Sequence[Example], negatives: Sequence[Example] = (), strategy: Strategy = "average_vector"
) -> NDArray[np.float32]:
    """Unit vectors to search an inner-product index with.

    The union of their k nearest holds the k best by `scores`. For ``best_score`` that is so as long as a negative sends
    none of them down, since an index knows no negatives: ask for more than k.

    Returns
    -------
    float32 [n_queries, dim], one row, or for ``best_score`` one for each positive

    Raises
    ------
    QueryError
        If the examples of a linear strategy cancel out.
    """
    if strategy == "best_score":
        return np.stack([example.vector for example in positives]).astype(np.float32, copy=False)
    direction = _direction(positives, negatives, strategy)
    return (direction / np.linalg.norm(direction)).astype(np.float32)[np.newaxis]


def scores(
    vectors: NDArray[np.float32],
    positives: Sequence[Example],
    negatives: Sequence[Example] = (),
    strategy: Strategy = "average_vector",
) -> NDArray[np.float64]:
    """Score candidates.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1

    Returns
    -------
    float64 [n], in [0, 1]

    Raises
    ------
    QueryError
        As `queries`.
    """
    if strategy == "best_score":
        return _best_score(vectors, positives, negatives)
    direction = _direction(positives, negatives, strategy)
    if strategy == "average_vector":
        direction /= np.linalg.norm(direction)
    return score_of(vectors @ direction)


def unseen_at_most(
    farthest: NDArray[np.float32], positives: Sequence[Example], negatives: Sequence[Example], strategy: Strategy
) -> float:
    """What no track beyond those that were found scores more than, where their order is not that of the scores.

    That is for ``best_score`` with negatives: these send down what is near a positive, and what comes behind it in the
    index may be better than what is near another. In the other cases the union of the nearest holds the best: 0.

    Parameters
    ----------
    farthest : float32 [n_positives], cosine of each one's last neighbour that was found; −inf where there are no more
    """
    if strategy != "best_score" or not negatives or not len(farthest):
        return 0.0
    heaviest = float(_weights(positives).max())
    liked = (1 - farthest.astype(np.float64)) / 2 * (heaviest / _weights(positives))
    return max(float((1 - liked / 2).max()), heaviest / float(_weights(negatives).max()) / 2)


def driven_by(vectors: NDArray[np.float32], positives: Sequence[Example], strategy: Strategy) -> NDArray[np.int64]:
    """Find, for every candidate, the positive that contributes most to its score; of equal ones the first.

    That is the greatest w_i cos(p_i, x), or for ``best_score`` the one that decides, the least d(p_i, x) / w_i.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1

    Returns
    -------
    int64 [n], places in `positives`
    """
    if strategy == "best_score":
        loss = _scaled_distances(vectors, positives, 1.0)
    else:
        loss = -_cosines(vectors, positives) * _weights(positives)
    most: NDArray[np.int64] = loss.argmin(axis=1)
    return most


def recency_weights(n_tracks: int, half_life: float) -> list[float]:
    """Weights that continue a playlist from where it is now: w_i = 2^(−age_i / half_life).

    Parameters
    ----------
    n_tracks : length of the playlist; the last track has age 0 and so weight 1, the one before it age 1
    half_life : above 0, tracks after which an example counts half

    Returns
    -------
    `n_tracks` weights above 0, in the playlist's order
    """
    return [2.0 ** -min(age / half_life, MAX_HALVINGS) for age in reversed(range(n_tracks))]


def path(start: Stop, end: Stop, steps: int, search: PathSearch) -> Path:
    """Tracks that lead from one to another: the nearest to each of evenly spaced points of the arc between them.

    The arc is the great circle (Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985, section 3.3), so
    every point has norm 1. From the start on, each point takes its nearest track that is not on the path yet.

    Parameters
    ----------
    steps : length of the path, both ends included, at least 2
    search : called once, for `steps` tracks a point: as many cannot all be taken before
    """
    if start.track_id == end.track_id:
        return Path(np.array([start.track_id], np.int64), np.empty(0), "the path ends where it starts")
    stops, used = [start], {start.track_id, end.track_id, -1}
    waypoints = _arc(start.vector, end.vector, np.linspace(0, 1, steps)[1:-1])
    for ids, vectors in zip(*search(waypoints, steps), strict=True) if len(waypoints) else ():
        nearest = next((rank for rank, track_id in enumerate(ids.tolist()) if track_id not in used), None)
        if nearest is not None:
            stops.append(Stop(int(ids[nearest]), vectors[nearest]))
            used.add(stops[-1].track_id)
    stops.append(end)
    reason = None if len(stops) == steps else f"only {counted(len(stops), 'track')} can stand on it"
    along = np.stack([stop.vector for stop in stops]).astype(np.float64)
    cosines = np.einsum("nd,nd->n", along[:-1], along[1:])
    return Path(np.array([stop.track_id for stop in stops], np.int64), cosines, reason)


def _arc(start: NDArray[np.float32], end: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Points of the great circle from one unit vector [dim] to another, at shares [m] of the way: float32 [m, dim]."""
    # Again, as float64: an index may keep vectors in half precision, whose norm is 1 to three digits only.
    first, last = (vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64)) for vector in (start, end))
    aside = last - (last @ first) * first
    if np.linalg.norm(aside) < MIN_NORM:
        # Equal ends need no direction, opposite ones have every direction: take that of the axis least used.
        axis = np.eye(len(first))[np.argmin(np.abs(first))]
        aside = axis - (axis @ first) * first
    aside /= np.linalg.norm(aside)
    angles = shares[:, np.newaxis] * np.arctan2(last @ aside, last @ first)
    points = np.cos(angles) * first + np.sin(angles) * aside
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points, dtype=np.float32)


def _direction(positives: Sequence[Example], negatives: Sequence[Example], strategy: Strategy) -> NDArray[np.float64]:
    """What a linear strategy multiplies candidates by, float64 [dim], norm at most 3."""
    liked, disliked = _weighted_sum(positives), _weighted_sum(negatives)
    direction: NDArray[np.float64]
    if strategy == "sum_scores":
        direction = (liked - disliked) / (_weights(positives).sum() + _weights(negatives).sum())
    else:
        average = liked / _weights(positives).sum()
        direction = 2 * average - disliked / _weights(negatives).sum() if negatives else average
    if np.linalg.norm(direction) < MIN_NORM:
        reason = "negatives cancel the positives" if negatives else "positives cancel each other"
        raise QueryError("", f"the {reason}", "other examples or weights, or strategy best_score")
    return direction


def _best_score(
    vectors: NDArray[np.float32], positives: Sequence[Example], negatives: Sequence[Example]
) -> NDArray[np.float64]:
    heaviest = float(_weights(positives).max())
    liked = _scaled_distances(vectors, positives, heaviest).min(axis=1)
    score: NDArray[np.float64] = 1 - liked
    if negatives:
        disliked = _scaled_distances(vectors, negatives, heaviest).min(axis=1)
        score = np.where(disliked < liked - ROUNDING, disliked / 2, 1 - liked / 2)
    return score


def _scaled_distances(
    vectors: NDArray[np.float32], examples: Sequence[Example], heaviest: float
) -> NDArray[np.float64]:
    """Distances d W / w of candidates [n, dim] to examples: float64 [n, n_examples], at least 0."""
    distances: NDArray[np.float64] = (1 - _cosines(vectors, examples)) / 2 * (heaviest / _weights(examples))
    return distances


def _cosines(vectors: NDArray[np.float32], examples: Sequence[Example]) -> NDArray[np.float64]:
    """Of candidates [n, dim] to examples: float64 [n, n_examples], in [−1, 1]."""
    stacked = np.stack([example.vector for example in examples])
    cosines: NDArray[np.float64] = np.clip((vectors @ stacked.T).astype(np.float64), -1, 1)
    return cosines


def _weights(examples: Sequence[Example]) -> NDArray[np.float64]:
    return np.array([example.weight for example in examples], dtype=np.float64)


def _weighted_sum(examples: Sequence[Example]) -> NDArray[np.float64] | float:
    """Σ w x, float64 [dim]; 0 without examples."""
    if not examples:
        return 0.0
    total: NDArray[np.float64] = _weights(examples) @ np.stack([example.vector for example in examples])
    return total
