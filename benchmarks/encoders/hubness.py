"""What scoring hubs down is worth on real music: plain cosine against CSLS and mutual proximity, in every space.

    python -m benchmarks.encoders.hubness [--space soundalike ...] [--pack NAME ...]

Music, halves, labels and metrics are those of `benchmarks.encoders.spaces`, and so is the cache of segments. What a
scoring has to know of the catalogue it takes from the one searched: the first halves, or the whole tracks. The second
table holds the differences to plain cosine, paired by query; an interval without 0 is a difference.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api.settings import read_settings
from benchmarks.encoders.half_track import KS, PACKS
from benchmarks.encoders.metrics import (
    Estimate,
    average_precision,
    estimate,
    hubness,
    mean_average_precision,
    recall_at,
    relevance,
)
from benchmarks.encoders.spaces import EXCERPT_S, Halves, Labels, embed, files_of, labels_of, table
from benchmarks.machine import machine
from encoders.loading import load_encoder
from encoders.media.segments import pool
from retrieval.search.hubness import csls, local_density, mutual_proximity, sample_moments

Vectors = NDArray[np.float32]
Scoring = Callable[[Vectors, Vectors], NDArray[np.float64]]
"""Unit vectors of queries [n_queries, dim] and of a catalogue [n, dim] → scores float64 [n_queries, n]."""


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


@dataclass(frozen=True)
class Outcome:
    """How one scoring ranks one space.

    Attributes
    ----------
    half_ranks : int64 [n], from 1, of every track's own first half for its second
    others : int64 [n, n - 1], the other tracks, best first
    artist, soundtrack : relevance of the ranked tracks, bool [n_ranked] for each query that has any
    """

    half_ranks: NDArray[np.int64]
    others: NDArray[np.int64]
    artist: Sequence[NDArray[np.bool_]]
    soundtrack: Sequence[NDArray[np.bool_]]


def ranking_of_others(vectors: Vectors, scoring: Scoring) -> NDArray[np.int64]:
    """Rank, for every track [n, dim], the other tracks, equal scores in the tracks' order: int64 [n, n - 1]."""
    order = np.argsort(-scoring(vectors, vectors), axis=1, kind="stable")
    others: NDArray[np.int64] = order[order != np.arange(len(vectors))[:, np.newaxis]]
    return others.reshape(len(vectors), max(len(vectors) - 1, 0))


def outcome(tracks: Sequence[Halves], labels: Sequence[Labels], scoring: Scoring) -> Outcome:
    """Rank the halves and the tracks of one space."""
    first = np.stack([pool(halves.first) for halves in tracks])
    second = np.stack([pool(halves.second) for halves in tracks])
    whole = np.stack([pool(halves.both) for halves in tracks])
    own = np.argsort(-scoring(second, first), axis=1, kind="stable") == np.arange(len(tracks))[:, np.newaxis]
    others = ranking_of_others(whole, scoring)
    named = [number for number, label in enumerate(labels) if label.artist]
    return Outcome(
        half_ranks=np.argmax(own, axis=1) + 1,
        others=others,
        artist=relevance(ranking_of_others(whole[named], scoring), [labels[number].artist for number in named]),
        soundtrack=relevance(others, [label.package for label in labels]),
    )


def measure(found: Outcome) -> dict[str, Estimate]:
    """Every metric of one outcome, by its name."""
    return {
        **{f"half@{k}": recall_at(k, found.half_ranks) for k in KS},
        "artist": mean_average_precision(found.artist),
        "soundtrack": mean_average_precision(found.soundtrack),
        "hubness": hubness(found.others),
    }


def differences(found: Outcome, plain: Outcome) -> dict[str, Estimate]:
    """What an outcome gains over another of the same tracks, paired by query."""
    pairs = {f"half@{k}": (found.half_ranks <= k, plain.half_ranks <= k) for k in KS} | {
        "artist": _precisions(found.artist, plain.artist),
        "soundtrack": _precisions(found.soundtrack, plain.soundtrack),
    }
    return {
        name: estimate(ours.astype(np.float64) - theirs.astype(np.float64), chance=0.0)
        for name, (ours, theirs) in pairs.items()
    }


def _precisions(*rows: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array([average_precision(row) for row in one]) for one in rows)


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
    rows: dict[str, Mapping[str, Estimate]] = {}
    gains: dict[str, Mapping[str, Estimate]] = {}
    for name in (encoder.spec.name for encoder in encoders):
        tracks = [spaces[name] for spaces in found.values()]
        outcomes = {scoring: outcome(tracks, labels, score) for scoring, score in SCORINGS.items()}
        rows |= {f"{name}, {scoring}": measure(ranked) for scoring, ranked in outcomes.items()}
        plain = outcomes.pop("cosine")
        gains |= {f"{name}, {scoring}": differences(ranked, plain) for scoring, ranked in outcomes.items()}
    print(machine())
    print(f"{len(labels)} tracks of {len({label.package for label in labels})} packages; every space hears the middle")
    print(f"{EXCERPT_S} s of each half; intervals are 95 % bootstrap over queries (hubness: over tracks)")
    print("encoders: " + ", ".join(encoder.version for encoder in encoders))
    print(f"{table(rows)}\n\nGain over plain cosine:\n\n{table(gains)}")


if __name__ == "__main__":
    main()
