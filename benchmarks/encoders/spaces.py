"""Spaces against each other and against baselines: one table of retrieval metrics over the music of some packs.

What `soundalike evaluate catalogue` measures of a space that the catalogue holds, by the same code, for encoders that
have no space in any catalogue.

    python -m benchmarks.encoders.spaces [--space musicnn ...] [--untrained timbre ...] [--pack NAME ...]

Encoders with weights stand beside MFCC statistics and beside architectures as they were built, untrained. All hear the
same audio: one decode, then the middle minute of each half of a track, or the whole half where that is shorter. A half
is its pooled segments, a track both halves' segments. Every space is measured as the product searches it, and with its
dimensions standardised over the catalogue, which MFCCs need and which is fair to all only if all may have it. So do
untrained networks: their vectors may be so nearly parallel that float32 rounding decides the order of their cosines.

- half-track recall, same artist, same artist on other albums (without a tag, an album is the package) and hubness are
  those of `retrieval.evaluation.space`.
- soundtrack: mAP, the other tracks of the query's package.

Artists are as the files spell them: one artist with two spellings counts as two. Segments are kept in
``benchmark/<encoder version>`` of the catalogue's folder, so only new encoders and new music cost time.
"""

import argparse
import math
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress

from api.settings import Settings, read_settings
from benchmarks.encoders.baselines import mfcc_encoder, untrained_encoder
from benchmarks.machine import machine
from encoders.checkpoints.sha256 import sha256_file
from encoders.encoder import Encoder
from encoders.errors import MediaError
from encoders.loading import load_encoder
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.segments import pool
from encoders.registry import DEFAULTS
from indexer.packs.fetch import fetch_pack
from indexer.scan import ScannedFile, scan
from indexer.sidecars import read_track_tags
from retrieval.catalog import records
from retrieval.evaluation.measures import labels as names
from retrieval.evaluation.measures import same_label
from retrieval.evaluation.measures.half_tracks import HalfTracks
from retrieval.evaluation.measures.significance import Interval
from retrieval.evaluation.space import SKEWNESS, QuerySample, SpaceMeasures, intervals, measure_space
from retrieval.index.delta import Delta
from retrieval.index.view import LocalView

PACKS = ("naev-data", "nexuiz-music", "supertux-data")
"""Kept out of the training of every encoder that is shipped, but of `ear`: `leave_out` fits that anew without them."""

EXCERPT_S = 60
SOUNDTRACK = "soundtrack mAP"
COLUMNS = {
    "half@1": "half-track recall@1",
    "half@10": "half-track recall@10",
    "artist": "same artist mAP",
    "artist, other album": "same artist on other albums mAP",
    "soundtrack": SOUNDTRACK,
    "hubness": SKEWNESS,
}
"""What the table calls a metric."""
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
            halves = encode_halves(audio.waveforms[encoder.spec.sample_rate], encoder)
            write_arrays(cache / encoder.version / name, {"first": halves.first, "second": halves.second})
    return {encoder.spec.name: _read(cache / encoder.version / name) for encoder in encoders}


def _read(path: Path) -> Halves:
    with np.load(path, allow_pickle=False) as arrays:
        return Halves(arrays["first"], arrays["second"])


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Write beside the place and move there in one step: a run may be cut short, and two files be the same music."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{threading.get_ident()}.part")
    with beside.open("wb") as file:
        np.savez(file, **dict(arrays))
    beside.replace(path)


def labels_of(file: ScannedFile) -> Labels:
    """The labels that the file's place and tags give it, in lower case."""
    package = file.key.partition("/")[0]
    tags = read_track_tags(file.path)
    own = records.Labels(file.key, tags.artist, tags.album)
    return Labels(package, names.named_artist(own), names.named_album(own) or package.casefold())


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


def pooled(tracks: Sequence[Halves]) -> tuple[HalfTracks, NDArray[np.float32]]:
    """Both halves of every track, which its number names, and the whole: float32 [n, dim], L2 norm 1."""
    first = np.stack([pool(halves.first) for halves in tracks])
    second = np.stack([pool(halves.second) for halves in tracks])
    whole = np.stack([pool(halves.both) for halves in tracks])
    return HalfTracks(np.arange(len(tracks)), first, second), whole


def numbered(labels: Sequence[str]) -> NDArray[np.int64]:
    """A number for each label, int64 [n]; −1 for an empty one."""
    named = sorted(set(labels) - {""})
    return np.array([named.index(label) if label else -1 for label in labels], np.int64)


def measure(tracks: Sequence[Halves], labels: Sequence[Labels]) -> SpaceMeasures:
    """What the product measures of one space, and soundtracks."""
    halves, whole = pooled(tracks)
    ids, (n, dim) = halves.track_ids, whole.shape
    delta = Delta.empty(dim).written(ids[:0], ids, whole, np.zeros((n, 2), np.float32))
    view = LocalView("benchmark", dim, revision=0, delta=delta)
    artists, albums, packages = (
        numbered([getattr(label, kind) for label in labels]) for kind in ("artist", "album", "package")
    )
    found = measure_space(view, halves, QuerySample(ids, ids, artists, albums))
    soundtracks = same_label.placed(whole, packages, ids)
    per_query = {**found.per_query, SOUNDTRACK: same_label.values(soundtracks)["mAP"]}
    return replace(
        found, per_query=per_query, chance={**found.chance, SOUNDTRACK: same_label.by_chance(soundtracks)["mAP"]}
    )


def estimates(found: SpaceMeasures) -> dict[str, Interval]:
    """The metrics of the table, with their intervals."""
    every = intervals(found, seed=0)
    return {column: every[name] for column, name in COLUMNS.items() if name in every}


def table(rows: Mapping[str, Mapping[str, Interval]], chance: Mapping[str, float] | None = None) -> str:
    """A Markdown table of spaces × metrics, then the level by chance, if it is known, and the number of queries."""
    some = next(iter(rows.values()))
    cells = [["space", *some], ["---"] * (len(some) + 1)]
    cells += [[name, *map(written, found.values())] for name, found in rows.items()]
    if chance is not None:
        levels = (chance[COLUMNS[column]] if one.count else math.nan for column, one in some.items())
        cells.append(["chance", *("–" if math.isnan(level) else f"{level:.3f}" for level in levels)])
    cells.append(["queries", *(str(one.count) for one in some.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def written(one: Interval) -> str:
    """A figure with its interval; a dash where there is none."""
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" if one.count else "–"


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
        *(load_encoder(name, weights_dir=settings.weights_dir) for name in arguments.spaces or [DEFAULTS[-1]]),
        mfcc_encoder(),
        *map(untrained_encoder, arguments.untrained or UNTRAINED),
    ]
    files = [file for pack in arguments.packs or PACKS for file in files_of(pack, settings)]
    found = embed(files, encoders, settings)
    labels = [labels_of(file) for file in files if file.key in found]
    rows, chance = {}, dict[str, float]()
    for name in (encoder.spec.name for encoder in encoders):
        tracks = [spaces[name] for spaces in found.values()]
        for label, one in ((name, tracks), (f"{name}, standardised", standardised(tracks))):
            found_there = measure(one, labels)
            rows[label], chance = estimates(found_there), dict(found_there.chance)
    print(machine())
    print(f"{len(labels)} tracks of {len({label.package for label in labels})} packages; every space hears the middle")
    print(f"{EXCERPT_S} s of each half; intervals are 95 % bootstrap over queries (hubness: over tracks)")
    print("encoders: " + ", ".join(encoder.version for encoder in encoders))
    print(table(rows, chance))


def files_of(pack: str, settings: Settings) -> list[ScannedFile]:
    """The music of a pack; what cannot be read is named on standard error."""

    def failed(uri: str, reason: str) -> None:
        print(f"left out: {uri}: {reason}", file=sys.stderr)

    return scan(fetch_pack(pack, settings.packs_dir).music, key_prefix="", on_error=failed)


if __name__ == "__main__":
    main()
