"""Where sections of recordings begin, by us and by others, beside where their sound changes: there is no truth for it.

    python -m benchmarks.music.novelty FILE_OR_FOLDER … [--tracks 30] [--msaf PYTHON] [--system NAME …]

What is compared with is a label-free stand-in: the peaks of checkerboard novelty (Foote, 2000) over 16 seconds of a log
spectrogram by half seconds, which is no feature of anybody judged (but whoever looks for novelty itself, as
Foote's own method does, is near to it by kind). Music changes where no section begins and sections begin without
change, so the best possible is below 1, and what counts is the difference between systems, and that to as many
boundaries put at random. Precision, recall and F within ±3 s, where nothing counts within as much of start and end;
means over tracks with 95 % intervals, and by how much we are better in the same tracks.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import mir_eval
import numpy as np
import torch
from scipy.signal import find_peaks

from api.settings import read_settings
from benchmarks.machine import machine
from benchmarks.music.beatnet import FPS, features
from benchmarks.music.intervals import interval
from benchmarks.music.systems import msaf
from benchmarks.music.systems.form import novelty
from benchmarks.music.systems.system import LIMITS, SAMPLE_RATE, System, answer
from encoders.media.decode import decode
from indexer.scan import scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from benchmarks.music.songs import Part

OURS = "ours"
WINDOW_S, ROW_S = 3.0, 0.5
_SHORTEST_S = 8.0
_DRAWS = 200
_SEED = 18
MEASURES = ("boundaries", "precision", "recall", "F", "F by chance", "F less chance")


def changes(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Seconds at which the sound of a waveform at 22,050 Hz is most unlike before, ascending."""
    curve = novelty(half_seconds(waveform))
    peaks, _ = find_peaks(curve, height=curve.mean() + curve.std() / 2, distance=round(_SHORTEST_S / ROW_S))
    return within(peaks * ROW_S, len(waveform) / SAMPLE_RATE)


def within(times_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
    """Times that are not those of start and end."""
    return times_s[(times_s > WINDOW_S) & (times_s < length_s - WINDOW_S)]


def half_seconds(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Means of half a second of a log spectrogram, each band with mean 0 and variance 1, float64 [bands, n]."""
    frames = features(waveform)
    bands = frames.shape[1] // 2
    step = round(ROW_S * FPS)
    count = max(1, len(frames) // step)
    means = frames[: count * step, :bands].reshape(count, -1, bands).mean(axis=1).T.astype(np.float64)
    return (means - means.mean(axis=1, keepdims=True)) / (means.std(axis=1, keepdims=True) + 1e-6)


def compare(changes_s: NDArray[np.float64], bounds_s: NDArray[np.float64], length_s: float) -> dict[str, float]:
    """All measures of boundaries, beside at least one change."""
    bounds_s = within(bounds_s, length_s)
    precision, recall, both = hits(changes_s, bounds_s)
    rng = np.random.default_rng(_SEED)
    drawn = np.sort(rng.uniform(WINDOW_S, length_s - WINDOW_S, (_DRAWS, len(bounds_s))), axis=1)
    chance = float(np.mean([hits(changes_s, one)[2] for one in drawn]))
    return dict(zip(MEASURES, (len(bounds_s), precision, recall, both, chance, both - chance), strict=True))


def hits(changes_s: NDArray[np.float64], bounds_s: NDArray[np.float64]) -> tuple[float, float, float]:
    """Precision, recall and F of boundaries, each change met by one; 0 where there are none."""
    if not len(bounds_s):
        return 0.0, 0.0, 0.0
    matched = len(mir_eval.util.match_events(changes_s, bounds_s, WINDOW_S))
    return (
        matched / len(bounds_s),
        matched / len(changes_s),
        2 * matched / (len(bounds_s) + len(changes_s)),
    )


def bounds_of(parts: tuple[Part, ...]) -> NDArray[np.float64]:
    """Where parts after the first begin, seconds."""
    return np.array([part.start_s for part in parts[1:]], dtype=float)


def show(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """A table of all systems, of scores by system, track and measure."""
    print(f"\n| system | tracks | {' | '.join(MEASURES)} | {OURS} less it, F |\n|{'---|' * (len(MEASURES) + 3)}")
    for system, by_track in scores.items():
        means = [interval([values[name] for values in by_track.values()]) for name in MEASURES]
        told = f"{means[0].mean:.1f} | {' | '.join(map(str, means[1:-1]))} | {means[-1]:+}"
        ours = scores.get(OURS, {})
        less = [ours[track]["F"] - values["F"] for track, values in by_track.items() if track in ours]
        print(f"| {system} | {len(by_track)} | {told} | {f'{interval(less):+}' if less and system != OURS else ''} |")


def main() -> None:
    """Parse the arguments, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--tracks", type=int, default=30, help="at most so many, evenly drawn from what there is")
    parser.add_argument("--msaf", type=Path, metavar="PYTHON", help="a Python that has MSAF")
    parser.add_argument("--system", action="append", help="only systems of these names")
    parser.add_argument("--cache", type=Path, default=read_settings().weights_dir.parent / "benchmarks" / "music")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}\n", flush=True)
    files = [file.path for path in arguments.paths for file in scan(path, on_error=lambda uri, why: print(uri, why))]
    chosen = [files[n] for n in np.unique(np.linspace(0, len(files) - 1, arguments.tracks).round().astype(int))]
    asked: list[System] = [
        system
        for source in (OURS, "form")
        for system in import_module(f"benchmarks.music.systems.{source}").systems()
        if "parts" in system.tells
    ]
    asked += msaf.systems(arguments.msaf) if arguments.msaf else []
    systems = [system for system in asked if not arguments.system or system.name in arguments.system]
    scores: dict[str, dict[str, dict[str, float]]] = {system.name: {} for system in systems}
    for path in chosen:
        waveform = decode(path, sample_rates=[SAMPLE_RATE], limits=LIMITS).waveforms[SAMPLE_RATE]
        changes_s = changes(waveform)
        print(f"{path.name}: {len(changes_s)} changes", flush=True)
        for system in systems if len(changes_s) else ():
            parts = answer(system, path, arguments.cache).parts or ()
            scores[system.name][f"{path}"] = compare(changes_s, bounds_of(parts), len(waveform) / SAMPLE_RATE)
    show(scores)


if __name__ == "__main__":
    main()
