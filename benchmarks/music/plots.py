"""What is found in tracks, to be looked at: four tracks a sheet.

    python -m benchmarks.music.plots OUT FILE_OR_FOLDER ... [--tracks 20]

Each track from top to bottom: its self-similarity (cosine of half-second means of a log spectrogram, light is alike),
with the boundaries of its parts and their labels and letters; how new each moment is (Foote's novelty) with the same
boundaries, phrases thin, highlights and loops as bars; the tempo from beat to beat; and where in each bar beats are, in
turns: bars that keep their length are horizontal lines, and a boundary off the downbeat is seen.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from api.settings import read_settings
from benchmarks.music.novelty import ROW_S, half_seconds
from benchmarks.music.systems.form import novelty
from benchmarks.music.systems.system import LIMITS, SAMPLE_RATE
from encoders.analysis.findings import COARSE, FINE, Form, Key, Rhythm
from encoders.media.decode import decode
from indexer.scan import scan

A_SHEET = 4
_COLOURS = {
    **{"intro": "tab:gray", "verse": "tab:blue", "chorus": "tab:red", "bridge": "tab:purple", "inst": "tab:green"},
    **{"outro": "tab:brown", "silence": "black"},
}


@dataclass(frozen=True, eq=False)
class Seen:
    """A track and what was found in it."""

    title: str
    waveform: NDArray[np.float32]
    rhythm: Rhythm
    key: Key
    form: Form


def sheet(tracks: Sequence[Seen]) -> Figure:
    """Up to four tracks side by side."""
    figure = Figure(figsize=(7 * len(tracks), 13), layout="constrained")
    heights = {"height_ratios": [6, 1.5, 1, 1.5]}
    columns = figure.subplots(4, len(tracks), squeeze=False, sharex="col", gridspec_kw=heights)
    for track, (similarity, new, tempo, bars) in zip(tracks, columns.T, strict=True):
        rows = half_seconds(track.waveform)
        _draw_similarity(similarity, track, rows)
        _draw_novelty(new, track, rows)
        _draw_tempo(tempo, track.rhythm)
        _draw_bars(bars, track)
    return figure


def _draw_similarity(axes: Axes, track: Seen, rows: NDArray[np.float64]) -> None:
    unit = rows / (np.linalg.norm(rows, axis=0) + 1e-9)
    end_s = rows.shape[1] * ROW_S
    axes.imshow(unit.T @ unit, origin="lower", extent=(0, end_s, 0, end_s), cmap="magma", aspect="auto")
    for part in track.form.level(COARSE):
        colour = _COLOURS[part.label]
        for line in (axes.axvline, axes.axhline):
            line(part.start_s, color="white", lw=0.8)
        axes.plot([part.start_s, part.end_s], [part.start_s, part.end_s], color=colour, lw=5, solid_capstyle="butt")
        label = f"{part.label} {part.group} {part.confidence:.1f}"
        axes.text(part.start_s, end_s * 1.005, label, color=colour, fontsize=8, rotation=50, va="bottom")
    rhythm = track.rhythm
    tempo = "no beat" if rhythm.tempo_bpm is None else f"{rhythm.tempo_bpm:.1f} bpm, {rhythm.meter} a bar"
    key = f"{track.key.tonic} {track.key.mode} ({track.key.confidence:.2f})"
    axes.set_title(f"{track.title}\n{tempo} ({rhythm.confidence:.2f}), {key}", fontsize=10, pad=48)


def _draw_novelty(axes: Axes, track: Seen, rows: NDArray[np.float64]) -> None:
    curve = novelty(rows)
    top = float(curve.max()) or 1.0
    axes.plot(np.arange(len(curve)) * ROW_S, curve / top, color="black", lw=0.8)
    for section in track.form.level(FINE):
        axes.axvline(section.start_s, color="tab:blue", lw=0.4)
    for section in track.form.level(COARSE):
        axes.axvline(section.start_s, color="tab:red", lw=1.2)
    for number, highlight in enumerate(track.form.highlights):
        axes.axvspan(highlight.start_s, highlight.end_s, 0.92, 1, color="gold", alpha=1 / (number + 1))
    for loop in track.form.loops[:1]:
        axes.axvspan(loop.start_s, loop.end_s, 0, 0.08, color="tab:green")
    axes.set_ylabel("novelty")
    axes.set_ylim(0, 1.15)


def _draw_tempo(axes: Axes, rhythm: Rhythm) -> None:
    if len(rhythm.beats_s) > 1:
        axes.plot(rhythm.beats_s[1:], 60 / np.diff(rhythm.beats_s), color="black", lw=0.7)
        axes.set_ylim(0.4 * (rhythm.tempo_bpm or 120), 2.2 * (rhythm.tempo_bpm or 120))
    axes.set_ylabel("bpm")


def _draw_bars(axes: Axes, track: Seen) -> None:
    rhythm = track.rhythm
    axes.scatter(rhythm.beats_s, rhythm.positions, s=3, c=np.where(rhythm.positions == 1, "tab:red", "black"))
    for section in track.form.level(COARSE):
        if len(rhythm.downbeats_s):
            off_s = float(np.abs(rhythm.downbeats_s - section.start_s).min())
            axes.axvline(section.start_s, color="tab:green" if off_s < 0.07 else "tab:red", lw=1)
    axes.set_ylabel("beat of the bar")
    axes.set_xlabel("s")


def main() -> None:
    """Parse the arguments, analyse and draw."""
    from encoders.listeners import load_music_analysis

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--tracks", type=int, default=20, help="at most so many, evenly drawn from what there is")
    arguments = parser.parse_args()
    mpl.use("agg")
    analysis = load_music_analysis(read_settings().weights_dir)
    files = [file for path in arguments.paths for file in scan(path, on_error=lambda uri, why: print(uri, why))]
    chosen = [
        files[number] for number in np.unique(np.linspace(0, len(files) - 1, arguments.tracks).round().astype(int))
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(chosen), A_SHEET):
        seen = []
        for file in chosen[start : start + A_SHEET]:
            waveform = decode(file.path, sample_rates=[SAMPLE_RATE], limits=LIMITS).waveforms[SAMPLE_RATE]
            rhythm, key = analysis.rhythm.track(waveform)
            seen.append(Seen(file.key, waveform, rhythm, key, analysis.form.analyse(waveform, rhythm)))
        path = arguments.out / f"sheet-{start // A_SHEET + 1:02}.png"
        sheet(seen).savefig(path, dpi=70)
        print(path, flush=True)


if __name__ == "__main__":
    main()
