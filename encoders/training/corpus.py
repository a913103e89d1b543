"""A prepared training corpus: mono Opus and a manifest, so that music is prepared once and an epoch decodes nothing.

    <corpus>/manifest.jsonl      a line a track: key, group, file, duration_s, source_sha256
    <corpus>/audio/<name>.opus   mono, 24 kHz, which holds all that 22,050 Hz can; 11 MB an hour

The group is the first folder of the key: a package, an album, an artist. Splits are made by group, never by track:
tracks of one group share instruments, producers and themes; a file that comes twice is kept once, or it could be on
both sides. The same music gives the same bytes.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import torch

from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import EncoderError, MediaError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.loudness import normalised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

OPUS_RATE = 24_000
OPUS_BIT_RATE = 24_000
_MANIFEST = "manifest.jsonl"
_FRAME = 480  # 20 ms

Source = Path | Callable[[], AbstractContextManager[Path]]
"""A file, or what puts one on disk for as long as its context lasts (and raises `MediaError` where it cannot)."""


class CorpusError(EncoderError):
    """A corpus that is not there, is empty, or was damaged."""


@dataclass(frozen=True)
class CorpusTrack:
    """One prepared track; `file` is relative to the corpus."""

    key: str
    group: str
    file: str
    duration_s: float
    source_sha256: str


@dataclass(frozen=True)
class Prepared:
    """What became of one source file; a reason when it was left out."""

    key: str
    track: CorpusTrack | None
    reason: str | None = None


def prepare(
    sources: Iterable[tuple[str, Source]], directory: Path, *, limits: MediaLimits, threads: int = 2
) -> Iterator[Prepared]:
    """Add files, given as (key, source), to a corpus. What is in it already, by content, is not prepared again.

    Raises
    ------
    OSError
        If the corpus cannot be written; what was finished before stays.
    """
    (directory / "audio").mkdir(parents=True, exist_ok=True)
    tracks = _read_manifest(directory)
    _drop_cut_line(directory / _MANIFEST)
    known = {track.key: track for track in tracks}
    holders = {track.source_sha256: track.key for track in reversed(tracks)}
    seen: set[str] = set()

    def prepare_one(keyed: tuple[str, Source]) -> Prepared:
        key, source = keyed
        try:
            with nullcontext(source) if isinstance(source, Path) else source() as path:
                return Prepared(key, _prepared_track(key, path, directory, known.get(key), limits))
        except MediaError as error:
            return Prepared(key, None, error.reason)

    with ThreadPoolExecutor(threads) as pool, (directory / _MANIFEST).open("a", encoding="utf-8") as manifest:
        for prepared in pool.map(prepare_one, sources):
            track = prepared.track
            clash = _clash(track, seen, holders) if track is not None else None
            if track is not None and clash is None and track != known.get(track.key):
                manifest.write(json.dumps(asdict(track)) + "\n")
                manifest.flush()
            yield prepared if clash is None else Prepared(prepared.key, None, clash)


def _prepared_track(
    key: str, path: Path, directory: Path, known: CorpusTrack | None, limits: MediaLimits
) -> CorpusTrack:
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise UnreadableMediaError(str(path), str(error.strerror)) from error
    if known is not None and known.source_sha256 == digest and (directory / known.file).exists():
        return known
    audio = decode(path, sample_rates=[OPUS_RATE], limits=limits)
    file = f"audio/{digest[:32]}.opus"
    _write_opus(directory / file, audio.waveforms[OPUS_RATE])
    return CorpusTrack(key, key.partition("/")[0], file, round(audio.duration_s, 3), digest)


def _clash(track: CorpusTrack, seen: set[str], holders: dict[str, str]) -> str | None:
    """Why a track is not kept: its key or its music is another file's."""
    if track.key in seen:
        return "another file has the same key"
    seen.add(track.key)
    holder = holders.setdefault(track.source_sha256, track.key)
    return None if holder == track.key else f"the same file as {holder}"


def read_corpus(directory: Path) -> list[CorpusTrack]:
    """The tracks of a corpus, ordered by key.

    Raises
    ------
    CorpusError
        If there is no corpus, or nothing in it.
    """
    tracks = _read_manifest(directory)
    if not tracks:
        raise CorpusError(f"{directory}: no prepared track; run `soundalike train corpus FOLDER --out {directory}`")
    return tracks


@dataclass(frozen=True)
class Crops:
    """Tracks in one array, to cut windows from: waveforms, or features.

    Attributes
    ----------
    values : [length of all tracks, …]; track i is ``values[starts[i]:starts[i + 1]]``
    per_second : length of a second
    """

    values: Tensor
    starts: NDArray[np.int64]
    per_second: float

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self) -> NDArray[np.int64]:
        """Length of each track, int64 [n]."""
        return np.diff(self.starts)

    def crops(self, tracks: NDArray[np.int64], offsets: NDArray[np.int64], length: int) -> Tensor:
        """Float32 [n, length, …] from these tracks at these offsets, on the device of `values`."""
        first = torch.from_numpy(self.starts[tracks] + offsets).to(self.values.device)
        return self.values[first[:, None] + torch.arange(length, device=self.values.device)].float()


class Waveforms(Crops):
    """Decoded tracks, int16 [samples]; crops are float32 [n, length]."""

    def crops(self, tracks: NDArray[np.int64], offsets: NDArray[np.int64], length: int) -> Tensor:
        """In [-1, 1]."""
        return super().crops(tracks, offsets, length) / 32_768


def load_waveforms(
    directory: Path, tracks: Sequence[CorpusTrack], *, sample_rate: int, threads: int | None = None
) -> Waveforms:
    """Decode tracks once, for as long as a training lasts: 160 MB an hour at 22,050 Hz.

    Raises
    ------
    CorpusError
        If a prepared file is missing or damaged; it is named.
    """

    def samples(track: CorpusTrack) -> NDArray[np.int16]:
        return (decoded(directory, track, sample_rate=sample_rate).clip(-1, 1) * 32_767).astype(np.int16)

    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        waveforms = list(pool.map(samples, tracks))
    starts = np.concatenate([[0], np.cumsum([len(waveform) for waveform in waveforms])]).astype(np.int64)
    return Waveforms(torch.from_numpy(np.concatenate(waveforms)), starts, sample_rate)


def decoded(directory: Path, track: CorpusTrack, *, sample_rate: int) -> NDArray[np.float32]:
    """Waveform float32 [samples] of one prepared track, as loud as every encoder hears it.

    Raises
    ------
    CorpusError
        If its file is missing or damaged; it is named.
    """
    try:
        audio = decode(directory / track.file, sample_rates=[sample_rate], limits=MediaLimits(0, float("inf")))
    except MediaError as error:
        raise CorpusError(f"{directory / track.file} ({track.key}): {error.reason}") from error
    return normalised(audio.waveforms[sample_rate], sample_rate)


def split_by_group(
    tracks: Sequence[CorpusTrack], held_out: Sequence[str]
) -> tuple[list[CorpusTrack], list[CorpusTrack]]:
    """Training tracks, and the tracks of the groups that are held out.

    Raises
    ------
    CorpusError
        If a group does not exist, or nothing is left to train on.
    """
    groups = {track.group for track in tracks}
    unknown = sorted(set(held_out) - groups)
    if unknown:
        raise CorpusError(f"no group {', '.join(unknown)}; groups: {', '.join(sorted(groups))}")
    training = [track for track in tracks if track.group not in held_out]
    if not training:
        raise CorpusError("every group is held out: nothing is left to train on")
    return training, [track for track in tracks if track.group in held_out]


def _read_manifest(directory: Path) -> list[CorpusTrack]:
    path = directory / _MANIFEST
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    # A line without its end was cut short by a kill: that track is prepared again.
    rows: list[Mapping[str, str]] = [json.loads(line) for line in lines if line.endswith("\n")]
    latest = {row["key"]: CorpusTrack(**row) for row in rows}  # type: ignore[arg-type]
    return [latest[key] for key in sorted(latest)]


def _drop_cut_line(manifest: Path) -> None:
    """Let the next line begin where the one that a kill cut short began."""
    content = manifest.read_bytes() if manifest.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(manifest, content.rfind(b"\n") + 1)


def _write_opus(path: Path, waveform: NDArray[np.float32]) -> None:
    beside = path.with_suffix(f".{threading.get_ident()}.part")  # another thread may have met the same music
    # Without "bitexact" the muxer draws a random serial number.
    with av.open(str(beside), "w", format="ogg", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono")
        stream.bit_rate = OPUS_BIT_RATE
        padded = np.pad(waveform, (0, -len(waveform) % _FRAME))
        for start in range(0, len(padded), _FRAME):
            frame = av.AudioFrame.from_ndarray(padded[np.newaxis, start : start + _FRAME], format="flt", layout="mono")
            frame.sample_rate, frame.pts = OPUS_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
