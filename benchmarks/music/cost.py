"""What it costs to find rhythm, form and melody, and whether memory stays what it was.

    python -m benchmarks.music.cost FOLDER [--tracks 500]

Tracks are three minutes of the music under FOLDER, over and over where that is shorter. First the seconds that each
analyser takes for a track on one core, nothing else running; then tracks a second of all together, a track a core, as
an ingest has them, seconds of a core for each, and the memory of the process (resident set) after every tenth part of
them. A machine that does anything else gives other figures, least so for seconds of a core and memory.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from api.settings import read_settings
from benchmarks.machine import machine
from benchmarks.music.systems.system import LIMITS, SAMPLE_RATE
from encoders.acceleration import keep_freed_memory
from encoders.analysis.music import MusicAnalysis
from encoders.listeners import load_music_analysis
from encoders.media.decode import decode
from indexer.scan import scan

TRACK_S = 180
_DECODED = 20
_SINGLE = 10
_LOOKS = 10


def three_minutes(folder: Path) -> list[NDArray[np.float32]]:
    """Tracks of equal length, evenly drawn from a folder."""
    files = scan(folder, on_error=lambda uri, why: print(uri, why))
    chosen = [files[number] for number in np.unique(np.linspace(0, len(files) - 1, _DECODED).round().astype(int))]
    decoded = (decode(file.path, sample_rates=[SAMPLE_RATE], limits=LIMITS).waveforms[SAMPLE_RATE] for file in chosen)
    return [np.resize(waveform, TRACK_S * SAMPLE_RATE) for waveform in decoded]


def analyse(analysis: MusicAnalysis, waveform: NDArray[np.float32]) -> tuple[float, float, float]:
    """Seconds for rhythm and key, for form, and for melody."""
    started = time.perf_counter()
    rhythm, _ = analysis.rhythm.track(waveform)
    with_rhythm = time.perf_counter()
    analysis.form.analyse(waveform, rhythm)
    with_form = time.perf_counter()
    analysis.melody.track(waveform)
    return with_rhythm - started, with_form - with_rhythm, time.perf_counter() - with_form


def in_parts(waveforms: Sequence[NDArray[np.float32]], count: int) -> Iterator[list[NDArray[np.float32]]]:
    """`count` tracks, in about ten parts."""
    size = max(1, count // _LOOKS)
    for start in range(0, count, size):
        yield [waveforms[number % len(waveforms)] for number in range(start, min(start + size, count))]


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=500)
    arguments = parser.parse_args()
    keep_freed_memory()
    say = partial(print, flush=True)  # it takes minutes: what is known is seen, in a file too
    say(machine())
    analysis = load_music_analysis(read_settings().weights_dir)
    waveforms = three_minutes(arguments.folder)
    # Threads of its own: the analysers hand each track to those of `one_core_each` and wait for them, and whoever waits
    # in one of these would wait for ever.
    pool, process = ThreadPoolExecutor(len(os.sched_getaffinity(0))), psutil.Process()
    list(pool.map(lambda waveform: analyse(analysis, waveform), waveforms[:2]))  # compiles, and fills what is kept
    say(f"{len(waveforms)} files decoded, {process.memory_info().rss / 2**20:.0f} MiB")
    alone = np.array([analyse(analysis, waveform) for waveform in waveforms[:_SINGLE]])
    say("\n| analyser | s a track, median | slowest |\n|---|---|---|")
    for name, seconds in zip(("rhythm and key", "form", "melody"), alone.T, strict=True):
        say(f"| {name} | {np.median(seconds):.2f} | {seconds.max():.2f} |")
    say(f"| all | {np.median(alone.sum(axis=1)):.2f} | {alone.sum(axis=1).max():.2f} |")
    say("\n| tracks | tracks/s | core-s a track | memory, MiB |\n|---|---|---|---|")
    heard, resident = 0, []
    for part in in_parts(waveforms, arguments.tracks):
        started, computed = time.perf_counter(), time.process_time()
        list(pool.map(lambda waveform: analyse(analysis, waveform), part))
        heard += len(part)
        resident.append(process.memory_info().rss / 2**20)
        speed = len(part) / (time.perf_counter() - started)
        cores_s = (time.process_time() - computed) / len(part)
        say(f"| {heard} | {speed:.2f} | {cores_s:.2f} | {resident[-1]:.0f} |")
    if len(resident) > 2:
        slope = np.polyfit(np.arange(1, len(resident)), resident[1:], 1)[0] / (arguments.tracks / _LOOKS) * 100
        say(f"\nMemory grows by {slope:+.1f} MiB a hundred tracks after the first tenth.")


if __name__ == "__main__":
    main()
