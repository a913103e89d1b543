"""How well rhythm, key, form and melody are found, by us and by others, in the same songs.

    python -m benchmarks.music --annotated FOLDER [--between 701 800] --real FOLDER … [--system NAME …] [--every K]

Folders hold songs as :mod:`benchmarks.music.songs` says; `benchmarks.music.truth` makes real ones. Each measure
(:mod:`benchmarks.music.measures`) is a mean over songs with its 95 % interval, and beside it by how much we are better
in the same songs, with the interval of that; in folders that hold several collections, also over each. Others need the
extra `music-peers`. Answers are kept in the cache, so what has not changed is not asked again. Where that is dear,
`--every K` asks all systems about each K-th song.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from api.settings import read_settings
from benchmarks.machine import machine
from benchmarks.music.intervals import interval
from benchmarks.music.measures import MEASURES, measure
from benchmarks.music.songs import Song, read_songs
from benchmarks.music.systems import msaf
from benchmarks.music.systems.system import System, answer

OURS = "ours"
SOURCES = (OURS, "rhythm", "form", "melody")
Scores = dict[str, dict[str, dict[str, float]]]
"""By measure, system and song."""


def judged(systems: Sequence[System], songs: Sequence[Song], cache: Path) -> Scores:
    """Ask all systems about all songs of which something is known that they tell."""
    scores: Scores = defaultdict(lambda: defaultdict(dict))
    for system in systems:
        known = [s for s in songs if any(getattr(s.truth, attribute) is not None for attribute in system.tells)]
        started, computed = time.monotonic(), cpu_s()
        for song in known:
            said = answer(system, song.audio, cache)
            for name, value in measure(song.truth, said, system.tells).items():
                scores[name][system.name][song.name] = value
        took = f"{time.monotonic() - started:.0f} s, {cpu_s() - computed:.0f} of them of a core"
        print(f"{system.name}: {len(known)} songs in {took}", flush=True)
    return scores


def cpu_s() -> float:
    """Seconds of a core that this process took, and those of its that have ended."""
    return sum(os.times()[:4])


def show(title: str, scores: Scores, names: set[str]) -> None:
    """A table of all systems and measures over the songs of these names."""
    print(f"\n## {title}, {len(names)} songs\n\n| measure | songs | system | mean [95 %] | {OURS} less it [95 %] |")
    print(f"|{'---|' * 5}")
    for name in MEASURES:
        ours = scores.get(name, {}).get(OURS, {})
        for system, by_song in scores.get(name, {}).items():
            values = [value for song, value in by_song.items() if song in names]
            less = [ours[song] - value for song, value in by_song.items() if song in names and song in ours]
            if values:
                paired = f"{interval(less):+}" if less and system != OURS else ""
                print(f"| {name} | {len(values)} | {system} | {interval(values)} | {paired} |")


def show_songs(scores: Scores, measures: Sequence[str]) -> None:
    """Each song's values."""
    for name in measures:
        systems = list(scores[name])
        print(f"\n| {name} | {' | '.join(systems)} |\n|---|{'---|' * len(systems)}")
        for song in sorted({song for by_song in scores[name].values() for song in by_song}):
            values = (scores[name][system].get(song) for system in systems)
            print(f"| {song} | {' | '.join('' if value is None else f'{value:.2f}' for value in values)} |")


def main() -> None:
    """Parse the arguments, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--annotated", type=Path, help="rendered songs")
    parser.add_argument("--between", nargs=2, metavar=("FIRST", "LAST"), help="names of the rendered songs to take")
    parser.add_argument("--real", type=Path, action="append", default=[], help="recordings")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="only each K-th song of a folder")
    parser.add_argument("--from", dest="sources", action="append", choices=SOURCES, help="whose answers; all")
    parser.add_argument(
        "--msaf", type=Path, metavar="PYTHON", help="a Python that has MSAF (`systems/msaf_process.py`)"
    )
    parser.add_argument("--system", action="append", help="only systems of these names")
    parser.add_argument("--cache", type=Path, default=read_settings().weights_dir.parent / "benchmarks" / "music")
    parser.add_argument("--songs", action="append", default=[], choices=MEASURES, help="also show each song's")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}\n")
    asked = [
        system
        for source in arguments.sources or SOURCES
        for system in import_module(f"benchmarks.music.systems.{source}").systems()
    ]
    asked += msaf.systems(arguments.msaf) if arguments.msaf else []
    systems = [system for system in asked if not arguments.system or system.name in arguments.system]
    folders = [(arguments.annotated, arguments.between)] if arguments.annotated else []
    for folder, between in [*folders, *((folder, None) for folder in arguments.real)]:
        songs = read_songs(folder, between=between)[:: arguments.every]
        scores = judged(systems, songs, arguments.cache)
        collections = defaultdict(set)
        for song in songs:
            collections[song.audio.parent.parent.name].add(song.name)
        if len(collections) > 1:
            for collection, names in collections.items():
                sure = ", ".join(sorted({song.sure for song in songs if song.name in names}))
                show(f"{collection} (truth: {sure})", scores, names)
        chosen = f"one of {arguments.every}" if arguments.every > 1 else "all"
        show(f"{folder.name}, {chosen}", scores, {song.name for song in songs})
        show_songs(scores, arguments.songs)


if __name__ == "__main__":
    main()
