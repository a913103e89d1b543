"""What accuracy does not tell: who is recommended, how alike the lists are, and whether hubs crowd them.

All act on the first k results of every query. With x_i, how often track i of the N that can be found is recommended:

- ``coverage``: share of tracks with x_i > 0 (Ge, Delgado-Battenfeld & Jannach, Beyond accuracy, RecSys 2010).
- ``gini``: Σ (2i − N − 1) x_i / (N Σ x), x ascending; 0 when all tracks are recommended alike, towards 1 when one is.
  ``entropy``: −Σ p_i log2 p_i in bits, p_i = x_i / Σ x (both: Shani & Gunawardana, Evaluating recommendation systems,
  in Recommender Systems Handbook, 2011, section 8.3.3).
- ``tail_share``: mean share of a list outside the short head, which is the fewest tracks that hold 80 % of all
  popularity (Abdollahpouri, Burke & Mobasher, Managing popularity bias, FLAIRS 2019).
- ``diversity``: intra-list diversity, mean 1 − cosine over the pairs of a list (Smyth & McClave, Similarity vs.
  diversity, ICCBR 2001; Ziegler et al., Improving recommendation lists, WWW 2005).
- ``same_artist``, ``same_album``: mean share of a list, of the tracks that name one, that shares it with an example.
- ``occurrence_skew``: skewness of x_i; hubs make it large (Radovanović et al., Hubs in space, JMLR 11, 2010, where
  every track asks; here those do that were evaluated).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD_SHARE = 0.8


def occurrences(lists: NDArray[np.int64], track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each track stands in the lists.

    Parameters
    ----------
    lists : int64 [n, k], −1 behind a list's end
    track_ids : int64 [n_tracks] ascending, all that can be found

    Returns
    -------
    int64 [n_tracks]
    """
    shown = lists[lists >= 0]
    place = np.minimum(np.searchsorted(track_ids, shown), max(len(track_ids) - 1, 0))
    return np.bincount(place[track_ids[place] == shown], minlength=len(track_ids))


def coverage(counts: NDArray[np.int64]) -> float:
    """Share of tracks, counts int64 [n_tracks], that are recommended at all; NaN without any track."""
    return float((counts > 0).mean()) if len(counts) else float("nan")


def gini(counts: NDArray[np.int64]) -> float:
    """Gini index of counts int64 [n_tracks], 0 to 1; NaN when nothing was recommended."""
    total, n = int(counts.sum()), len(counts)
    if total == 0:
        return float("nan")
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * np.sort(counts).astype(np.float64)).sum() / (n * total))


def lorenz(counts: NDArray[np.int64], steps: int = 100) -> NDArray[np.float64]:
    """Lorenz curve of counts int64 [n_tracks]: what share of all recommendations the least recommended tracks hold.

    Returns
    -------
    float64 [steps + 1] at equal steps of their share of the tracks, from 0 to 1; empty when nothing was recommended.
    The Gini index is 1 − twice the area below the curve through all n_tracks.
    """
    total, n = int(counts.sum()), len(counts)
    if total == 0:
        return np.empty(0)
    held = np.concatenate([[0], np.cumsum(np.sort(counts))]) / total
    return np.interp(np.linspace(0, 1, steps + 1), np.arange(n + 1) / n, held)


def entropy(counts: NDArray[np.int64]) -> float:
    """Shannon entropy of counts int64 [n_tracks], in bits; NaN when nothing was recommended."""
    total = counts.sum()
    return float(scipy.special.entr(counts / total).sum() / np.log(2)) if total else float("nan")


def skewness(counts: NDArray[np.int64]) -> float:
    """Third standardised moment of counts int64 [n_tracks]; 0 where all are equal, NaN without any."""
    return float(skewnesses(counts.astype(np.float64))) if len(counts) else float("nan")


def skewnesses(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Third standardised moment of float64 [..., n ≥ 1] over its last axis; 0 where all values are equal."""
    centred = values - values.mean(axis=-1, keepdims=True)
    squared = centred * centred
    spread = np.sqrt(squared.mean(axis=-1))
    # A power of 3 takes ten times as long as a product.
    skew: NDArray[np.float64] = (squared * centred).mean(axis=-1) / np.where(spread > 0, spread, np.inf) ** 3
    return skew


def short_head(track_ids: NDArray[np.int64], popularity: NDArray[np.float64]) -> NDArray[np.int64]:
    """The fewest tracks, int64 ascending, that hold 80 % of the popularity; equal ones in order of track.

    Parameters
    ----------
    track_ids : int64 [n]
    popularity : float64 [n], at least 0: plays, or judgments
    """
    order = np.lexsort((track_ids, -popularity))
    held = np.cumsum(popularity[order])
    if not len(held) or held[-1] == 0:
        return np.empty(0, np.int64)
    enough = int(np.searchsorted(held, HEAD_SHARE * held[-1] * (1 - 1e-12))) + 1
    return np.sort(track_ids[order[:enough]])


def tail_share(lists: NDArray[np.int64], head: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each list int64 [n, k] that is not of the short head: float64 [n], NaN for an empty list."""
    return share_of(~np.isin(lists, head) & (lists >= 0), lists >= 0)


def diversity(vectors: NDArray[np.float32], shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean 1 − cosine over the pairs of each list.

    The cosines are never formed: Σ_{i≠j} cos = |Σ v|² − m, for m vectors of norm 1.

    Parameters
    ----------
    vectors : float32 [n, k, dim], L2 norm 1
    shown : bool [n, k], false behind a list's end

    Returns
    -------
    float64 [n], 0 to 2; NaN for fewer than two results
    """
    kept = vectors if shown.all() else np.where(shown[..., np.newaxis], vectors, 0)
    count = shown.sum(axis=1).astype(np.float64)
    total = np.einsum("nkd->nd", kept).astype(np.float64)
    norms = np.einsum("nkd,nkd->nk", kept, kept).sum(axis=1, dtype=np.float64)
    pairs = np.where(count > 1, count * (count - 1), np.nan)
    unlike: NDArray[np.float64] = 1 - (np.einsum("nd,nd->n", total, total) - norms) / pairs
    return unlike


def same_label_rate(
    labels: NDArray[np.int64], query_no: NDArray[np.int64], example_labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Share of each list that bears a label of one of its query's examples.

    Parameters
    ----------
    labels : int64 [n, k], artists (albums) of the results by number; −1 for none
    query_no, example_labels : int64 [m], row of `labels` and label of every example; −1 for none

    Returns
    -------
    float64 [n]; NaN where no example or no result has a label
    """
    named = example_labels >= 0
    query_no, example_labels = query_no[named], example_labels[named]
    stride = int(max(labels.max(initial=0), example_labels.max(initial=0))) + 1
    rows = np.arange(len(labels))[:, np.newaxis] * stride
    shared = np.isin(rows + labels, query_no * stride + example_labels) & (labels >= 0)
    asked = np.bincount(query_no, minlength=len(labels)) > 0
    return np.where(asked, share_of(shared, labels >= 0), np.nan)


def share_of(marked: NDArray[np.bool_], shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of what is shown that is marked, of each row of bool [n, k]: float64 [n]; NaN where nothing is shown."""
    count = shown.sum(axis=1)
    share: NDArray[np.float64] = marked.sum(axis=1) / np.where(count > 0, count, np.nan)
    return share
