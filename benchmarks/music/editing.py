"""Tracks of any length, and loops: exact, and heard no more than the track's own bars.

    python -m benchmarks.music.editing FOLDER... --out editing.json --plot editing.png

Every track of the folders that is long enough is brought to several lengths. Measured: how far the length is from what
was asked; at each jump, which share of the track's own downbeats is as great a change of sound or a smaller one, in the
finished sound: by the spectral flux of `encoders.editing.seams`, by which jumps are chosen as well, and by the flux of
bands on the mel scale in longer frames, by which none is. Seconds of one core. And loops by construction: of each track
some bars (of what has none, some seconds), cut at a sample that chance chooses, are repeated between what comes before
and after them, by turns as they are, at another rate, faded in, after a longer introduction, only twice, and each round
at another level; the length of the best loop that is found must be theirs to the sample, or that of several rounds.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from encoders.analysis.findings import COARSE
from encoders.analysis.form.features import SAMPLE_RATE, grid_of, sound_of
from encoders.analysis.form.highlights import highlights
from encoders.analysis.form.loops import loops
from encoders.editing.retargeting import Track, compared, retargeted
from encoders.editing.seams import fluxes
from encoders.media.decode import decode
from encoders.media.native import NativeAudio, decode_native
from encoders.media.writing import write_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm, Section
    from encoders.editing.retargeting import Retargeted

    Fluxes = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float64]]
    Listen = Callable[[NDArray[np.float32]], tuple[Rhythm, Sequence[Section]]]

DURATIONS_S = (10.0, 30.0, 60.0, 180.0, 600.0)
SHORTEST_S, LONGEST_S = 40.0, 600.0
SUFFIXES = frozenset({".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
_TOLERANCE_S, _USUAL = 0.05, 75.0
KINDS = ("plain", "rate", "fade", "introduction", "twice", "level")
_RATES = (32_000, 37_800, 48_000)
_FADE_S, _SOFTEST_DB = 10, -1.0
_SHORTEST_LOOP_S, _LONGEST_LOOP_S = 6, 25
_AROUND_S, _INTRODUCTION_S = 8, 20  # of what comes before and after a loop by construction


@dataclass
class Made:
    """One track at one length."""

    track: str
    requested_s: float
    error_s: float
    unit: str
    core_s: float
    flux_percentiles: list[float]
    mel_percentiles: list[float]
    correlations: list[float]
    trimmed_s: float


@dataclass
class Looped:
    """One loop by construction; lengths in samples of the file, of the best loop first."""

    track: str
    kind: str
    length: int
    found: list[int]
    similarities: list[float]


@dataclass
class Measured:
    """All of it."""

    made: list[Made] = field(default_factory=list)
    looped: list[Looped] = field(default_factory=list)
    core_s_of_three_minutes: list[float] = field(default_factory=list)


def measured(files: Sequence[Path], listen: Listen, drawn: Path | None = None, seed: int = 18) -> Measured:
    """Bring every track to every length, and find a loop made of it; draw the first one at three times its length."""
    result, rng = Measured(), np.random.default_rng(seed)
    kinds = itertools.cycle(KINDS)
    for path in files:
        audio = decode_native(path)
        waveform = decode(path, sample_rates=[SAMPLE_RATE]).waveforms[SAMPLE_RATE]
        rhythm, sections = listen(waveform)
        start = time.process_time()
        sound = sound_of(waveform)
        highlights(sound, rhythm, sections)
        loops(waveform, sound, rhythm)
        result.core_s_of_three_minutes.append((time.process_time() - start) * 180 / audio.duration_s)
        track = Track(audio, sound, rhythm, sections)
        if drawn is not None and path == files[0]:
            plot_track(track, retargeted(track, 3 * audio.duration_s), drawn)
        result.made += [_made(path, track, duration_s) for duration_s in DURATIONS_S]
        result.looped.append(_looped(path, audio, rhythm, listen, next(kinds), rng))
        print(path.name, file=sys.stderr, flush=True)
    return result


def _made(path: Path, track: Track, duration_s: float) -> Made:
    start = time.process_time()
    made = retargeted(track, duration_s)
    core_s = time.process_time() - start
    plan = made.plan
    return Made(
        path.name,
        duration_s,
        len(made.audio.samples) / made.audio.sample_rate - duration_s,
        plan.unit,
        core_s,
        _percentiles(track, made, lambda samples, places: fluxes(samples, plan.sample_rate, places)),
        _percentiles(track, made, lambda samples, places: _mel_fluxes(samples, plan.sample_rate, places)),
        [jump.correlation for jump in plan.jumps],
        plan.trimmed / plan.sample_rate,
    )


def _percentiles(track: Track, made: Retargeted, of: Fluxes) -> list[float]:
    """Share of the track's downbeats whose flux is less than that at each jump of the finished sound, 0 … 100."""
    jumps = np.array([segment.output_start for segment in made.plan.segments[1:]], np.int64)
    if not len(jumps):
        return []
    grid = grid_of(track.rhythm, track.sound.duration_s)
    own = np.sort(of(track.audio.samples, compared(grid, track.audio.sample_rate)))
    return [float(share) for share in 100 * np.searchsorted(own, of(made.audio.samples, jumps)) / len(own)]


def _mel_fluxes(samples: NDArray[np.float32], rate: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean rise in dB of 40 bands from one frame of 93 ms to one 23 ms later, the greatest around each place."""
    size, hop = round(0.093 * rate), round(0.023 * rate)
    hz = np.fft.rfftfreq(size, 1 / rate)
    edges = 700 * np.expm1(np.linspace(0.06, 2.73, 42))  # 43 Hz to 10 kHz
    rising, falling = (hz[:, None] - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - hz[:, None]) / np.diff(edges)[1:]
    bands = np.maximum(0, np.minimum(rising, falling))
    found = []
    for place in places:
        starts = place - size // 2 + hop * np.arange(-3, 4)
        within = np.clip(starts[:, None] + np.arange(size), 0, len(samples) - 1)
        power = np.abs(np.fft.rfft(samples[within].mean(axis=2) * np.hanning(size) / size)) ** 2
        decibels = 10 * np.log10(power @ bands + 1e-9)
        found.append(np.maximum(np.diff(decibels, axis=0), 0).mean(axis=1).max())
    return np.array(found)


def _looped(
    path: Path, audio: NativeAudio, rhythm: Rhythm, listen: Listen, kind: str, rng: np.random.Generator
) -> Looped:
    """Repeat 4, 8 or 16 bars three to five times, and look for them."""
    rate, downbeats = audio.sample_rate, rhythm.downbeats_s
    bars = int(rng.choice([4, 8, 16]))
    while bars > 2 and len(downbeats) <= bars + 1:
        bars //= 2
    if len(downbeats) > bars + 1:
        first = int(rng.integers(0, len(downbeats) - bars))
        start = round(downbeats[first] * rate)
        length = round((downbeats[first + bars] - downbeats[first]) * rate) + int(rng.integers(-300, 300))
    else:
        length = int(rng.integers(_SHORTEST_LOOP_S * rate, _LONGEST_LOOP_S * rate))
        start = int(rng.integers(0, len(audio.samples) - length))
    end, before = start + length, (_INTRODUCTION_S if kind == "introduction" else _AROUND_S) * rate
    rounds = [audio.samples[start:end]] * (2 if kind == "twice" else int(rng.integers(3, 6)))
    if kind == "level":
        rounds = [one * np.float32(10 ** (rng.uniform(_SOFTEST_DB, 0) / 20)) for one in rounds]
    behind = audio.samples[end : end + _AROUND_S * rate]
    samples = np.concatenate([audio.samples[max(0, start - before) : start], *rounds, behind])
    if kind == "fade":
        fade = min(len(samples), _FADE_S * rate)
        samples[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    rate = int(rng.choice(_RATES)) if kind == "rate" else rate
    file = io.BytesIO()
    write_wav(NativeAudio(samples, rate, audio.layout, 16), file)
    waveform = decode(file.getvalue(), sample_rates=[SAMPLE_RATE]).waveforms[SAMPLE_RATE]
    found = loops(waveform, sound_of(waveform), listen(waveform)[0])
    lengths = [round((loop.end_s - loop.start_s) * rate) for loop in found]
    return Looped(path.name, kind, length, lengths, [loop.similarity for loop in found])


def summary(result: Measured) -> dict[str, Any]:
    """What it comes to, with intervals at 95 %."""
    errors = np.array([abs(made.error_s) for made in result.made])
    seams = np.array([share for made in result.made for share in made.flux_percentiles])
    mel = np.array([share for made in result.made for share in made.mel_percentiles])
    first = [bool(one.found) and one.found[0] % one.length == 0 for one in result.looped]
    anywhere = [any(length % one.length == 0 for length in one.found) for one in result.looped]
    return {
        "tracks": len({made.track for made in result.made}),
        "lengths": len(errors),
        "within 50 ms": _share(errors <= _TOLERANCE_S),
        "largest error, s": float(errors.max()),
        "jumps": len(seams),
        "seams below the 75th percentile": _share(seams < _USUAL),
        "… by the flux of mel bands": _share(mel < _USUAL),
        "… between beats": _share(np.array([one < _USUAL for one in _of(result, "beats")])),
        "… between steps": _share(np.array([one < _USUAL for one in _of(result, "steps")])),
        "median percentile of seams": float(np.median(seams)) if len(seams) else None,
        "core seconds, longest": max(made.core_s for made in result.made),
        "loops by construction": len(result.looped),
        "best loop exact": _share(np.array(first)),
        "any loop exact": _share(np.array(anywhere)),
        "core seconds of features, highlights and loops, three minutes": float(
            np.median(result.core_s_of_three_minutes)
        ),
    }


def _of(result: Measured, unit: str) -> list[float]:
    return [share for made in result.made if made.unit == unit for share in made.flux_percentiles]


def _share(hits: NDArray[np.bool_]) -> dict[str, float] | None:
    """A share and its Wilson interval; none of nothing."""
    n, z = len(hits), 1.96
    if n == 0:
        return None
    share = float(np.mean(hits))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return {"share": share, "low": float(middle - half), "high": float(middle + half)}


def plot(result: Measured, path: Path) -> None:
    """Draw how seams compare with the tracks' own bars, and by how much loops are off."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for duration_s in DURATIONS_S:
        shares = [one for made in result.made if made.requested_s == duration_s for one in made.flux_percentiles]
        left.plot(np.sort(shares), np.linspace(0, 100, len(shares)), label=f"to {duration_s:g} s ({len(shares)} jumps)")
    left.axvline(_USUAL, color="grey", ls=":")
    left.plot([0, 100], [0, 100], color="grey", lw=0.8, label="a downbeat of the track")
    left.set(xlabel="percentile of a seam's flux among the track's downbeats", ylabel="seams at most there, %")
    left.legend(fontsize=7)
    off = [min((abs(length - one.length) for length in one.found), default=10**6) for one in result.looped]
    right.scatter(range(len(off)), np.sort(np.maximum(off, 0.5)), s=12)
    right.set(yscale="log", xlabel="loops by construction", ylabel="samples off (0 drawn at ½)")
    figure.savefig(path, dpi=110)


def plot_track(track: Track, made: Retargeted, path: Path) -> None:
    """Draw a track of another length: which part of the source is heard when, and its sound around each jump."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    plan, rate = made.plan, made.plan.sample_rate
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(11, 8), layout="constrained", sharex=True)
    for segment in plan.segments:
        end_s = (segment.output_start + segment.end - segment.start) / rate
        above.plot([segment.output_start / rate, end_s], [segment.start / rate, segment.end / rate], lw=2)
    for section in (one for one in track.sections if one.level == COARSE):
        above.axhspan(section.start_s, section.end_s, color=f"C{ord(section.group[0]) - ord('A')}", alpha=0.12)
        above.text(0, section.start_s, f" {section.label} {section.group}", fontsize=7, va="bottom")
    above.set(ylabel="s of the source", title=f"{track.sound.duration_s:.1f} s to {plan.reached_s:.1f} s")
    below.specgram(made.audio.samples.mean(axis=1), NFFT=2048, Fs=rate, noverlap=1024, vmin=-160)
    below.set(ylim=(0, 8000), ylabel="Hz", xlabel="s of the output")
    for segment, jump in zip(plan.segments[1:], plan.jumps, strict=True):
        for axes in (above, below):
            axes.axvline(segment.output_start / rate, color="black", lw=0.7, ls=":")
        below.text(segment.output_start / rate, 7600, f"{jump.flux_percentile:.0f} %", fontsize=8, color="white")
    figure.savefig(path, dpi=80)


def tracks_of(folders: Sequence[Path], most: int) -> list[Path]:
    """Tracks of a length that can be told, as many of each folder as of the others."""
    chosen = []
    for folder in folders:
        paths = sorted(one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES)
        suitable = (one for one in paths if SHORTEST_S <= _declared_s(one) <= LONGEST_S)
        chosen += list(itertools.islice(suitable, -(-most // len(folders))))
    return chosen[:most]


def _declared_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.duration or 0) / 1e6


def main(listen: Listen | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--tracks", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    drawn = given.plot and given.plot.with_stem(f"{given.plot.stem}-track")
    result = measured(tracks_of(given.folders, given.tracks), listen or _ours(), drawn)
    given.out.write_text(json.dumps({"summary": summary(result)} | asdict(result), indent=1))
    print(json.dumps(summary(result), indent=1))
    if given.plot:
        plot(result, given.plot)


def _ours() -> Listen:
    from api.settings import read_settings
    from encoders.listeners import load_music_analysis

    music = load_music_analysis(read_settings().weights_dir)

    def listen(waveform: NDArray[np.float32]) -> tuple[Rhythm, Sequence[Section]]:
        rhythm, _ = music.rhythm.track(waveform)
        return rhythm, music.form.analyse(waveform, rhythm).sections

    return listen


if __name__ == "__main__":
    main()
