"""Spaces against each other and against baselines: one table of retrieval metrics over the music of some packs.

    python -m benchmarks.encoders.spaces [--space musicnn ...] [--untrained timbre ...] [--pack NAME ...]

Encoders with weights stand beside MFCC statistics and beside architectures as they were built, untrained. All hear the
same audio: one decode, then the middle minute of each half of a track, or the whole half where that is shorter. A half
is its pooled segments, a track both halves' segments. Every space is measured as the product searches it, and with its
dimensions standardised over the catalogue, which MFCCs need and which is fair to all only if all may have it. So do
untrained networks: their vectors may be so nearly parallel that float32 rounding decides the order of their cosines.

- half@k: recall, the second half of a track asking for the first among the first halves of all.
- artist: mAP, the other tracks with the query's artist in the file's tags, among all that name an artist; also without
  the tracks of the query's album (without a tag: its package), since an album shares its sound.
- soundtrack: mAP, the other tracks of the query's package.
- hubness: skewness of the 10-occurrence; lower is better.

Artists are as the files spell them: one artist with two spellings counts as two. Segments are kept in
``benchmark/<encoder version>`` of the catalogue's folder, so only new encoders and new music cost time.
"""

import argparse
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress

from api.settings import Settings, read_settings
from benchmarks.encoders.baselines import mfcc_encoder, untrained_encoder
from benchmarks.encoders.half_track import KS, PACKS
from benchmarks.encoders.metrics import (
    Estimate,
    hubness,
    mean_average_precision,
    ranking_of_others,
    ranks_of_own_half,
    recall_at,
    relevance,
)
from benchmarks.machine import machine
from encoders.checkpoints.sha256 import sha256_file
from encoders.encoder import Encoder
from encoders.errors import MediaError
from encoders.loading import load_encoder
from encoders.media.decode import MediaLimits, decode
from encoders.media.segments import pool
from indexer.packs.fetch import fetch_pack
from indexer.scan import ScannedFile, scan
from indexer.sidecars import read_track_tags
from retrieval.catalog import records
from retrieval.evaluation.measures import tracks as named

EXCERPT_S = 60
UNTRAINED = ("timbre", "tagging", "spectnt", "musicnn")


@dataclass(frozen=True)
class Halves:
    """One track in one space: segments of its first half float32 [n, dim] and of its second [m, dim]."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]

    @property
    def both(self) -> NDArray[np.float32]:
        """All segments [n + m, dim]."""
        return np.concatenate([self.first, self.second])


@dataclass(frozen=True)
class Labels:
    """What is known of a track; no artist: empty."""

    package: str
    artist: str
    album: str


def excerpts(waveform: NDArray[np.float32], *, sample_rate: int) -> list[NDArray[np.float32]]:
    """Cut the middle minute out of each half of a waveform [samples], or the whole half where it is shorter."""
    middle = waveform.size // 2
    length = EXCERPT_S * sample_rate
    halves = (waveform[:middle], waveform[middle:])
    starts = (max(half.size - length, 0) // 2 for half in halves)
    return [half[start : start + length] for half, start in zip(halves, starts, strict=True)]


def encode_halves(waveform: NDArray[np.float32], encoder: Encoder) -> Halves:
    """Segment and encode both excerpts of a waveform [samples] at the encoder's sample rate.

    Raises
    ------
    SilentAudioError
        If one of them is silent.
    """
    cut = excerpts(waveform, sample_rate=encoder.spec.sample_rate)
    return Halves(*(encoder.encode(encoder.segment(excerpt).windows).embeddings for excerpt in cut))


def halves_in_spaces(path: Path, encoders: Sequence[Encoder], *, cache: Path, limits: MediaLimits) -> dict[str, Halves]:
    """One file in every space, by the space's name; decoded only for the encoders that have not heard it.

    Raises
    ------
    MediaError
        If the file cannot be decoded, or half of it is silent.
    """
    name = f"{sha256_file(path)}-{EXCERPT_S}s.npz"
    missing = [encoder for encoder in encoders if not (cache / encoder.version / name).is_file()]
    if missing:
        audio = decode(path, sample_rates=sorted({encoder.spec.sample_rate for encoder in missing}), limits=limits)
        for encoder in missing:
            _write(cache / encoder.version / name, encode_halves(audio.waveforms[encoder.spec.sample_rate], encoder))
    return {encoder.spec.name: _read(cache / encoder.version / name) for encoder in encoders}


def _read(path: Path) -> Halves:
    with np.load(path, allow_pickle=False) as arrays:
        return Halves(arrays["first"], arrays["second"])


def _write(path: Path, halves: Halves) -> None:
    """Write beside the place and move there in one step: a run may be cut short, and two files be the same music."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{threading.get_ident()}.part")
    with beside.open("wb") as file:
        np.savez(file, first=halves.first, second=halves.second)
    beside.replace(path)


def labels_of(file: ScannedFile) -> Labels:
    """The labels that the file's place and tags give it, in lower case."""
    package = file.key.partition("/")[0]
    tags = read_track_tags(file.path)
    own = records.Labels(file.key, tags.artist, tags.album)
    return Labels(package, named.named_artist(own), named.named_album(own) or package.casefold())


def standardised(tracks: Sequence[Halves]) -> list[Halves]:
    """Shift and scale every dimension so that the tracks' means have mean 0 and standard deviation 1.

    A dimension that is the same in all tracks but for rounding becomes 0.
    """
    means = np.stack([halves.both.mean(axis=0, dtype=np.float64) for halves in tracks])
    centre, spread = means.mean(axis=0), means.std(axis=0)
    scale = np.where(spread > 1e-6 * np.abs(centre), spread, np.inf)
    return [
        Halves(*(((half - centre) / scale).astype(np.float32) for half in (halves.first, halves.second)))
        for halves in tracks
    ]


def measure(tracks: Sequence[Halves], labels: Sequence[Labels]) -> dict[str, Estimate]:
    """Every metric of one space, by its name."""
    first = np.stack([pool(halves.first) for halves in tracks])
    second = np.stack([pool(halves.second) for halves in tracks])
    whole = np.stack([pool(halves.both) for halves in tracks])
    ranks, others = ranks_of_own_half(first, second), ranking_of_others(whole)
    named = [number for number, label in enumerate(labels) if label.artist]
    artists, albums = [labels[number].artist for number in named], [labels[number].album for number in named]
    others_named = ranking_of_others(whole[named])
    return {
        **{f"half@{k}": recall_at(k, ranks) for k in KS},
        "artist": mean_average_precision(relevance(others_named, artists)),
        "artist, other album": mean_average_precision(relevance(others_named, artists, apart=albums)),
        "soundtrack": mean_average_precision(relevance(others, [label.package for label in labels])),
        "hubness": hubness(others),
    }


def table(rows: Mapping[str, Mapping[str, Estimate]]) -> str:
    """A Markdown table of spaces × metrics, then the level by chance and the number of queries."""
    some = next(iter(rows.values()))
    cells = [
        ["space", *some],
        ["---"] * (len(some) + 1),
        *([name, *map(str, estimates.values())] for name, estimates in rows.items()),
        ["chance", *(f"{estimate.chance:.3f}" if estimate.count else "–" for estimate in some.values())],
        ["queries", *(str(estimate.count) for estimate in some.values())],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def embed(
    files: Sequence[ScannedFile], encoders: Sequence[Encoder], settings: Settings
) -> dict[str, dict[str, Halves]]:
    """Every file in every space: key → space → halves; a file that fails is named and left out of all spaces."""

    def heard(file: ScannedFile) -> dict[str, Halves]:
        try:
            return halves_in_spaces(
                file.path, encoders, cache=settings.home / "benchmark", limits=settings.media_limits
            )
        except MediaError as error:
            print(f"left out: {file.key}: {error.reason}", file=sys.stderr)
            return {}

    with ThreadPoolExecutor(settings.decode_threads) as threads:
        found = progress(threads.map(heard, files), total=len(files), console=Console(stderr=True))
        return {file.key: spaces for file, spaces in zip(files, found, strict=True) if spaces}


def main() -> None:
    """Encode, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", dest="spaces", action="append", help="an encoder with weights")
    parser.add_argument("--untrained", action="append", help="an encoder to build without weights")
    parser.add_argument("--pack", dest="packs", action="append")
    arguments = parser.parse_args()
    settings = read_settings()
    encoders = [
        *(load_encoder(name, weights_dir=settings.weights_dir) for name in arguments.spaces or [settings.space]),
        mfcc_encoder(),
        *map(untrained_encoder, arguments.untrained or UNTRAINED),
    ]
    files = [file for pack in arguments.packs or PACKS for file in files_of(pack, settings)]
    found = embed(files, encoders, settings)
    labels = [labels_of(file) for file in files if file.key in found]
    rows = {}
    for name in (encoder.spec.name for encoder in encoders):
        tracks = [spaces[name] for spaces in found.values()]
        rows[name] = measure(tracks, labels)
        rows[f"{name}, standardised"] = measure(standardised(tracks), labels)
    print(machine())
    print(f"{len(labels)} tracks of {len({label.package for label in labels})} packages; every space hears the middle")
    print(f"{EXCERPT_S} s of each half; intervals are 95 % bootstrap over queries (hubness: over tracks)")
    print("encoders: " + ", ".join(encoder.version for encoder in encoders))
    print(table(rows))


def files_of(pack: str, settings: Settings) -> list[ScannedFile]:
    """The music of a pack; what cannot be read is named on standard error."""

    def failed(uri: str, reason: str) -> None:
        print(f"left out: {uri}: {reason}", file=sys.stderr)

    return scan(fetch_pack(pack, settings.packs_dir).music, key_prefix="", on_error=failed)


if __name__ == "__main__":
    main()
