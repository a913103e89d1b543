"""What a track's embedding and neighbours become when its sound was only stored in another way.

    python -m benchmarks.encoders.robustness [--pack NAME ...] [--space NAME ...] [--seconds 60]

The middle of every track of some packs is written to a lossless file, the original, and to files that differ in level,
polarity, codec or length. All go the way of the product (decode → segment → encode → pool), each decoded once for all
spaces. A variant asks the catalogue of originals, without its own, for ten neighbours, and with it for one:

- cosine: to its own original, mean and least
- overlap@10: share of the ten neighbours that are those of its original; between chance, 10 / (tracks - 1), and 1
- nearest: share of tracks whose nearest original is their own

Embeddings are kept in ``benchmark/<encoder version>`` of the catalogue's folder, under a name that changes with the
code of `encoders.media`: only new encoders, new music and new ways of hearing it cost time.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress

import encoders.media
from api.settings import Settings, read_settings
from benchmarks.encoders.spaces import files_of, write_arrays
from benchmarks.machine import machine
from encoders.checkpoints.sha256 import sha256_file
from encoders.encoder import Encoder
from encoders.errors import MediaError, UnreadableMediaError
from encoders.loading import load_encoder
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.segments import pool

PACKS = ("sampler", "supertux-data")
SPACES = ("ear", "melcnn", "soundalike", "timbre", "tagging", "tagging-student", "spectnt", "musicnn")
NEIGHBORS = 10
ORIGINAL = "original"

Samples = NDArray[np.float32]
"""Two channels float32 [2, samples]."""


@dataclass(frozen=True)
class Variant:
    """Another file of the same music.

    Attributes
    ----------
    change : what is done to the samples, given with their rate in Hz
    codec, suffix : of the file
    sample_rate : Hz; that of the track where it is none
    bit_rate : bits a second, where the codec loses something
    """

    change: Callable[[Samples, int], Samples] = lambda samples, _: samples
    codec: str = "pcm_f32le"
    suffix: str = "wav"
    sample_rate: int | None = None
    bit_rate: int | None = None


def amplified(gain_db: float) -> Callable[[Samples, int], Samples]:
    """Another level; floats clip nowhere."""
    return lambda samples, _: samples * np.float32(10 ** (gain_db / 20))


def right_times(factor: float) -> Callable[[Samples, int], Samples]:
    """Another right channel."""
    return lambda samples, _: samples * np.array([[1], [factor]], np.float32)


def between_silence(duration_s: float) -> Callable[[Samples, int], Samples]:
    """Silence before and after."""
    return lambda samples, rate: np.pad(samples, ((0, 0), (round(duration_s * rate),) * 2))


VARIANTS: Mapping[str, Variant] = {
    ORIGINAL: Variant(),
    "-18 dB": Variant(amplified(-18)),
    "+18 dB": Variant(amplified(18)),
    "one channel inverted": Variant(right_times(-1)),
    "one channel only": Variant(right_times(0)),
    "mp3, 64 kbit/s": Variant(codec="libmp3lame", suffix="mp3", sample_rate=44_100, bit_rate=64_000),
    "Opus, 64 kbit/s": Variant(codec="libopus", suffix="ogg", sample_rate=48_000, bit_rate=64_000),
    "20 s of silence around": Variant(between_silence(20)),
    "2 s alone": Variant(lambda samples, rate: samples[:, : 2 * rate]),
}


@dataclass(frozen=True)
class Figures:
    """One variant in one space, over the tracks: cosines to the original, overlap@10 and share of own nearest."""

    tracks: int
    mean_cosine: float
    least_cosine: float
    overlap: float
    nearest: float


def middle_of(path: Path, seconds: float) -> tuple[Samples, int]:
    """The middle of a file as two channels float32 [2, samples], all of it where it is shorter, and its rate in Hz.

    Raises
    ------
    MediaError
        If it cannot be decoded.
    """
    parts: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            rate = container.streams.audio[0].rate
            resampler = av.AudioResampler("fltp", "stereo", rate)
            for frame in container.decode(audio=0):
                parts += [part.to_ndarray() for part in resampler.resample(frame)]
    except av.FFmpegError as error:
        raise UnreadableMediaError(str(path), str(error)) from error
    samples = np.concatenate(parts, axis=1)
    length = round(seconds * rate)
    start = max(samples.shape[1] - length, 0) // 2
    return samples[:, start : start + length], rate


def write_variant(path: Path, variant: Variant, samples: Samples, rate: int) -> None:
    """Write a variant of two channels [2, samples] at `rate` Hz."""
    changed = np.ascontiguousarray(variant.change(samples, rate))
    frame = av.AudioFrame.from_ndarray(changed, format="fltp", layout="stereo")
    frame.sample_rate = rate
    with av.open(str(path), "w") as out:
        stream = out.add_stream(variant.codec, rate=variant.sample_rate or rate, layout="stereo")
        if variant.bit_rate:
            stream.bit_rate = variant.bit_rate
        resampler = av.AudioResampler(stream.format, "stereo", stream.rate, stream.frame_size or 4096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def heard(path: Path, listeners: Sequence[Encoder], limits: MediaLimits) -> dict[str, NDArray[np.float32]]:
    """One file in every space, by the space's name: float32 [dim], L2 norm 1; decoded once.

    Raises
    ------
    MediaError
        If it cannot be decoded, or is silent.
    """
    audio = decode(path, sample_rates=sorted({one.spec.sample_rate for one in listeners}), limits=limits)
    windows = {one.spec.name: one.segment(audio.waveforms[one.spec.sample_rate]).windows for one in listeners}
    return {one.spec.name: pool(one.encode(windows[one.spec.name]).embeddings) for one in listeners}


Heard = Mapping[str, NDArray[np.float32]]
"""Embeddings of one track in one space, by variant; those that cannot be heard are missing."""


def track_in_spaces(
    path: Path, listeners: Sequence[Encoder], *, cache: Path, seconds: float, limits: MediaLimits
) -> dict[str, Heard]:
    """All variants of one track in every space, by the space's name; made only for the encoders that know them not.

    Raises
    ------
    MediaError
        If the track cannot be decoded.
    """
    name = f"{sha256_file(path)}-{seconds:g}s-variants-{media_version()}.npz"
    missing = [one for one in listeners if not (cache / one.version / name).is_file()]
    if missing:
        found: dict[str, dict[str, NDArray[np.float32]]] = {one.spec.name: {} for one in missing}
        samples, rate = middle_of(path, seconds)
        with tempfile.TemporaryDirectory() as folder:
            for number, (label, variant) in enumerate(VARIANTS.items()):
                file = Path(folder) / f"{number}.{variant.suffix}"
                write_variant(file, variant, samples, rate)
                try:
                    for space, embedding in heard(file, missing, limits).items():
                        found[space][label] = embedding
                except MediaError as error:
                    print(f"left out: {path.name}, {label}: {error.reason}", file=sys.stderr)
                file.unlink()
        for one in missing:
            write_arrays(cache / one.version / name, found[one.spec.name])
    return {one.spec.name: _read(cache / one.version / name) for one in listeners}


def media_version() -> str:
    """A name for the code that turns files into windows."""
    folder = Path(encoders.media.__path__[0])
    return "".join(
        sha256_file(folder / f"{part}.py")[:4] for part in ("decode", "loudness", "mixdown", "polarity", "segments")
    )


def _read(path: Path) -> Heard:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def measure(tracks: Sequence[Heard], variant: str) -> Figures:
    """Compare one variant of every track with the originals."""
    originals = np.stack([track[ORIGINAL] for track in tracks])
    rows = np.array([row for row, track in enumerate(tracks) if variant in track])
    scores = np.stack([tracks[row][variant] for row in rows]) @ originals.T
    own = scores[np.arange(len(rows)), rows]
    asked, wanted = (nearest_others(among, rows) for among in (scores, originals[rows] @ originals.T))
    overlaps = [len(set(a) & set(b)) / len(b) for a, b in zip(asked.tolist(), wanted.tolist(), strict=True)]
    nearest = (scores.argmax(axis=1) == rows).mean()
    return Figures(len(rows), float(own.mean()), float(own.min()), float(np.mean(overlaps)), float(nearest))


def nearest_others(scores: NDArray[np.float32], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """The columns with the highest scores of each row [n, tracks], without its own, int64 [n, at most 10]."""
    others = scores.copy()
    others[np.arange(len(own)), own] = -np.inf
    return np.argsort(-others, axis=1)[:, : min(NEIGHBORS, scores.shape[1] - 1)]


def embed(
    files: Sequence[Path], listeners: Sequence[Encoder], settings: Settings, seconds: float
) -> list[dict[str, Heard]]:
    """Every track in every space; one that cannot be heard as it is, or came before, is left out."""
    cache = settings.home / "benchmark"

    def heard_one(path: Path) -> dict[str, Heard]:
        try:
            return track_in_spaces(path, listeners, cache=cache, seconds=seconds, limits=settings.media_limits)
        except MediaError as error:
            print(f"left out: {path}: {error.reason}", file=sys.stderr)
            return {}

    with ThreadPoolExecutor(settings.decode_threads) as threads:
        found = list(progress(threads.map(heard_one, files), total=len(files), console=Console(stderr=True)))
    return [spaces for spaces in found if spaces and all(ORIGINAL in space for space in spaces.values())]


def main() -> None:
    """Make the variants, encode, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", dest="packs", action="append")
    parser.add_argument("--space", dest="spaces", action="append")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    settings = read_settings()
    listeners = [load_encoder(name, weights_dir=settings.weights_dir) for name in arguments.spaces or SPACES]
    paths = [file.path for pack in arguments.packs or PACKS for file in files_of(pack, settings)]
    files = list({sha256_file(path): path for path in paths}.values())  # music that comes twice is its own neighbour
    tracks = embed(files, listeners, settings, arguments.seconds)
    print(machine())
    print(f"the middle {arguments.seconds:g} s of {len(tracks)} tracks; overlap by chance {chance(len(tracks)):.2f}")
    print("encoders: " + ", ".join(one.version for one in listeners))
    print("| space | variant | tracks | cosine, mean | cosine, least | overlap@10 | nearest |")
    print("|---|---|---|---|---|---|---|")
    for space in (one.spec.name for one in listeners):
        for variant in [name for name in VARIANTS if name != ORIGINAL]:
            found = measure([track[space] for track in tracks], variant)
            print(
                f"| {space} | {variant} | {found.tracks} | {found.mean_cosine:.4f} | {found.least_cosine:.4f} "
                f"| {found.overlap:.3f} | {found.nearest:.3f} |"
            )


def chance(tracks: int) -> float:
    """Overlap of lists that have nothing to do with each other."""
    return min(NEIGHBORS / (tracks - 1), 1.0)


if __name__ == "__main__":
    main()
