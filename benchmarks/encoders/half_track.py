"""Half-track retrieval: the second half of a track is the query, the first halves of all tracks are the catalogue.

    python -m benchmarks.encoders.half_track [--space musicnn] [--pack NAME ...]

The packs are indexed by the real pipeline first (what is there already is not encoded again), and the segments that it
stored are measured, as `soundalike evaluate catalogue` does (`retrieval.evaluation.measures.half_tracks`); the baseline
in the same run is a random ranking. Intervals are 95 % bootstrap over queries.
"""

import argparse
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from api.settings import read_settings
from api.wiring import Soundalike, open_soundalike
from benchmarks.encoders.metrics import ranks_of_own_half, recall_at
from benchmarks.machine import machine
from indexer.packs.fetch import fetch_pack
from retrieval.evaluation.measures.half_tracks import read_halves

PACKS = ("naev-data", "nexuiz-music", "supertux-data")
"""Kept out of the training of every encoder that is shipped."""

KS = (1, 10)


def halves(here: Soundalike, space: str) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Package, first half float32 [n, dim] and second half float32 [n, dim] of every track that has both."""
    view = here.search.space(space).view()
    found = read_halves(here.catalog, space, view.encoder_version, view.all_track_ids())
    tracks = here.catalog.tracks_by_id(found.track_ids.tolist())
    packages = [tracks[track_id].key.partition("/")[0] for track_id in found.track_ids.tolist()]
    return packages, found.first, found.second


def main() -> None:
    """Index, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space")
    parser.add_argument("--pack", dest="packs", action="append")
    arguments = parser.parse_args()
    settings = read_settings()
    space = arguments.space or settings.space
    with open_soundalike(settings) as here:
        encoder = here.encoder(space)
        for pack in arguments.packs or PACKS:
            here.index_folder(fetch_pack(pack, settings.packs_dir).music, [encoder], key_prefix="")
        packages, first, second = halves(here, space)
    ranks = ranks_of_own_half(first, second)
    print(machine())
    print(f"{len(ranks)} tracks of {len(set(packages))} packages, space {space} ({encoder.version})")
    for k in KS:
        recall = recall_at(k, ranks)
        print(f"recall@{k}: {recall}")
        print(f"  by chance: {recall.chance:.3f}")
    by_package = defaultdict(list)
    for package, rank in zip(packages, ranks.tolist(), strict=True):
        by_package[package].append(rank)
    for package, own in sorted(by_package.items()):
        print(f"  {package}: {len(own)} tracks, recall@1 {np.mean(np.array(own) <= 1):.3f}")


if __name__ == "__main__":
    main()
