"""What scoring hubs down is worth on real music: plain cosine against CSLS and mutual proximity, in every space.

    python -m benchmarks.encoders.hubness [--space soundalike ...] [--pack NAME ...]

Music, halves, labels and metrics are those of `benchmarks.encoders.spaces`, and so is the cache of segments. What a
scoring has to know of the catalogue it takes from the one searched: the first halves, or the whole tracks. The second
table holds the differences to plain cosine, paired by query; an interval without 0 is a difference.

Mutual proximity (Schnitzer et al., Local and global scaling reduce hubs in space, JMLR 13, 2012, section 3.2), Gaussian
and as if independent: the probability that a random track is less near to q than x is, times the same of a random track
and x.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from api.settings import read_settings
from benchmarks.encoders.spaces import (
    COLUMNS,
    EXCERPT_S,
    PACKS,
    SOUNDTRACK,
    Halves,
    Labels,
    embed,
    estimates,
    files_of,
    labels_of,
    numbered,
    pooled,
    table,
)
from benchmarks.machine import machine
from encoders.loading import load_encoder
from retrieval.evaluation.measures import half_tracks, hubs, same_label
from retrieval.evaluation.measures.same_label import Placed
from retrieval.evaluation.measures.significance import Interval, paired
from retrieval.evaluation.space import SKEWNESS, SpaceMeasures
from retrieval.index.scanning import scan
from retrieval.search.hubness import K, csls, density_of

MIN_STD = 1e-6

Vectors = NDArray[np.float32]
Scoring = Callable[[Vectors, Vectors], NDArray[np.float64]]
"""Unit vectors of queries [n_queries, dim] and of a catalogue [n, dim] → scores float64 [n_queries, n]."""


def local_density(vectors: NDArray[np.float32], k: int = K) -> NDArray[np.float32]:
    """Mean cosine of every vector to its `k` nearest others, by comparing all pairs.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1

    Returns
    -------
    float32 [n], in [−1, 1]; 0 for a single vector
    """
    n = len(vectors)
    if n < 2:
        return np.zeros(n, np.float32)
    rows, cosines = scan(vectors, vectors, min(k + 1, n))
    own = rows == np.arange(n)[:, np.newaxis]
    # More than k equal vectors may hold a row's own back; then any one of them is as good to leave out.
    own[~own.any(axis=1), -1] = True
    return density_of(cosines[~own].reshape(n, -1))


def sample_moments(
    vectors: NDArray[np.float32], sample: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of every vector's cosines to a random sample of the catalogue.

    The cosines themselves are never formed: their mean is x · m and their variance xᵀ C x, with m and C the sample's
    mean and covariance, so the sample may be as large as it likes.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1
    sample : float32 [n_sample, dim], L2 norm 1, at least one

    Returns
    -------
    float32 [n] and float32 [n]
    """
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean
    covariance = centred.T @ centred / len(sample)
    variance = np.einsum("nd,nd->n", vectors @ covariance, vectors)
    std: NDArray[np.float32] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    return (vectors @ mean).astype(np.float32), std


def mutual_proximity(
    cosines: NDArray[np.float32],
    query_moments: tuple[NDArray[np.float32], NDArray[np.float32]],
    moments: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Score candidates by mutual proximity: Φ((c − m_q) / s_q) Φ((c − m_x) / s_x), with c the cosine.

    Parameters
    ----------
    cosines : float32 [n_queries, n], of the queries to the candidates
    query_moments : float32 [n_queries] each, the queries' `sample_moments`
    moments : float32 [n] each, the candidates'

    Returns
    -------
    float64 [n_queries, n], in [0, 1]
    """
    mean, std = (values[:, np.newaxis] for values in query_moments)
    ours, theirs = (cosines - mean) / np.maximum(std, MIN_STD), (cosines - moments[0]) / np.maximum(moments[1], MIN_STD)
    score: NDArray[np.float64] = ndtr(ours.astype(np.float64)) * ndtr(theirs.astype(np.float64))
    return score


def by_cosine(queries: Vectors, catalogue: Vectors) -> NDArray[np.float64]:
    """Score by plain cosine."""
    return (queries @ catalogue.T).astype(np.float64)


def by_csls(queries: Vectors, catalogue: Vectors) -> NDArray[np.float64]:
    """Score by CSLS with the catalogue's own densities."""
    return csls(queries @ catalogue.T, local_density(catalogue))


def by_mutual_proximity(queries: Vectors, catalogue: Vectors) -> NDArray[np.float64]:
    """Score by mutual proximity, with the whole catalogue as the sample."""
    moments = sample_moments(queries, catalogue), sample_moments(catalogue, catalogue)
    return mutual_proximity(queries @ catalogue.T, *moments)


SCORINGS: Mapping[str, Scoring] = {"cosine": by_cosine, "CSLS": by_csls, "mutual proximity": by_mutual_proximity}


def ranking_of_others(vectors: Vectors, scoring: Scoring) -> NDArray[np.int64]:
    """Rank, for every track [n, dim], the other tracks, equal scores in the tracks' order: int64 [n, n - 1]."""
    order = np.argsort(-scoring(vectors, vectors), axis=1, kind="stable")
    others: NDArray[np.int64] = order[order != np.arange(len(vectors))[:, np.newaxis]]
    return others.reshape(len(vectors), max(len(vectors) - 1, 0))


def placed(vectors: Vectors, labels: Sequence[str], scoring: Scoring) -> list[Placed]:
    """Where the tracks of every query's label are, among the others that have one."""
    numbers = numbered(labels)
    named = np.flatnonzero(numbers >= 0)
    others = ranking_of_others(vectors[named], scoring)
    relevant = numbers[named][others] == numbers[named][:, np.newaxis]
    ranks = {row: np.flatnonzero(marked) + 1 for row, marked in zip(named.tolist(), relevant, strict=True)}
    return [Placed(ranks.get(row, np.empty(0, np.int64)), max(len(named) - 1, 0)) for row in range(len(vectors))]


def measure(tracks: Sequence[Halves], labels: Sequence[Labels], scoring: Scoring) -> SpaceMeasures:
    """Rank the halves and the tracks of one space, and measure that."""
    halves, whole = pooled(tracks)
    n = len(tracks)
    own = np.argsort(-scoring(halves.second, halves.first), axis=1, kind="stable") == np.arange(n)[:, np.newaxis]
    ranks, others = np.argmax(own, axis=1) + 1, ranking_of_others(whole, scoring)
    per_query = {f"half-track recall@{k}": (ranks <= k).astype(np.float64) for k in (1, 10)}
    chance = {f"half-track recall@{k}": half_tracks.recall_by_chance(k, n) for k in (1, 10)}
    for name, kind in (("same artist mAP", "artist"), (SOUNDTRACK, "package")):
        found = placed(whole, [getattr(label, kind) for label in labels], scoring)
        per_query[name], chance[name] = same_label.values(found)["mAP"], same_label.by_chance(found)["mAP"]
    chance[SKEWNESS], _ = hubs.by_chance(n, n)
    lists = others[:, : hubs.K]
    return SpaceMeasures(per_query, chance, hubs.Hubs(lists, halves.track_ids), lists)


def differences(found: SpaceMeasures, plain: SpaceMeasures) -> dict[str, Interval]:
    """What a scoring gains over another of the same tracks, paired by query."""
    return {
        column: paired(plain.per_query[name], found.per_query[name]).difference
        for column, name in COLUMNS.items()
        if name in plain.per_query
    }


def main() -> None:
    """Encode, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", dest="spaces", action="append", help="an encoder with weights")
    parser.add_argument("--pack", dest="packs", action="append")
    arguments = parser.parse_args()
    settings = read_settings()
    encoders = [load_encoder(name, weights_dir=settings.weights_dir) for name in arguments.spaces or [settings.space]]
    files = [file for pack in arguments.packs or PACKS for file in files_of(pack, settings)]
    found = embed(files, encoders, settings)
    labels = [labels_of(file) for file in files if file.key in found]
    rows: dict[str, Mapping[str, Interval]] = {}
    gains: dict[str, Mapping[str, Interval]] = {}
    chance: Mapping[str, float] = {}
    for name in (encoder.spec.name for encoder in encoders):
        tracks = [spaces[name] for spaces in found.values()]
        by_scoring = {scoring: measure(tracks, labels, score) for scoring, score in SCORINGS.items()}
        rows |= {f"{name}, {scoring}": estimates(measured) for scoring, measured in by_scoring.items()}
        plain = by_scoring.pop("cosine")
        chance = plain.chance
        gains |= {f"{name}, {scoring}": differences(measured, plain) for scoring, measured in by_scoring.items()}
    print(machine())
    print(f"{len(labels)} tracks of {len({label.package for label in labels})} packages; every space hears the middle")
    print(f"{EXCERPT_S} s of each half; intervals are 95 % bootstrap over queries (hubness: over tracks)")
    print("encoders: " + ", ".join(encoder.version for encoder in encoders))
    print(f"{table(rows, chance)}\n\nGain over plain cosine:\n\n{table(gains)}")


if __name__ == "__main__":
    main()
