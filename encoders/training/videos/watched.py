"""Videos with sound as a training takes them: what is seen in each and what is heard in it, watched once and kept.

FOLDER/<source>/<clip>.mp4    what has one source (a film, a track) is never told apart
<kept>/<sha256>.npz           what was seen and heard of a clip, by its path, size and time of change
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.analysis.pictures import Seen, look
from encoders.errors import MediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.loudness import normalised
from encoders.media.video.footage import VIDEO_SUFFIXES
from encoders.media.video.process import FootageProcess
from encoders.models.embeddings.video import SAMPLE_RATE, WINDOW_LENGTH
from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from encoders.models.embeddings.video import VideoSpace

HOP_S = 5.0
"""From one window of sound to the next; a window is of 10 s."""
_SHORTEST_S = 8.0
_LIMITS = MediaLimits(min_duration_s=_SHORTEST_S, max_duration_s=3600.0)


@dataclass(frozen=True, eq=False)
class Pair:
    """A clip and its sound.

    Attributes
    ----------
    source : what it is of
    name : its path in its folder
    seen : what its pictures show
    heard, measured : float32 [n, 256] and [n, 65], of windows of its sound (`VideoSpace.hear`)
    starts_s : float64 [n], of the windows
    """

    source: str
    name: str
    seen: Seen
    heard: NDArray[np.float32]
    measured: NDArray[np.float32]
    starts_s: NDArray[np.float64]


@dataclass(frozen=True)
class Watchers:
    """What clips are watched with: a network that sees, ready for work, and the space whose frozen ear hears."""

    network: nn.Module
    space: VideoSpace


def video_files(folder: Path) -> list[Path]:
    """Every video of a folder and of the folders in it, in order.

    Raises
    ------
    CorpusError
        If there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    if not files:
        raise CorpusError(f"{folder}: no video in it; accepted: {', '.join(VIDEO_SUFFIXES)}")
    return files


def watch(
    folder: Path, kept: Path, watchers: Watchers, *, on_watched: Callable[[int, int, str], None]
) -> tuple[list[Pair], dict[str, str]]:
    """Watch all videos of a folder; those that were watched before are read.

    Returns
    -------
    The pairs, and the reason by name of each video that is left out: it cannot be read, has no sound, is too short

    Raises
    ------
    CorpusError
        If there is no video.
    """
    files = video_files(folder)
    kept.mkdir(parents=True, exist_ok=True)
    pairs, left_out = [], {}
    with FootageProcess() as reader:
        for number, path in enumerate(files, start=1):
            name = path.relative_to(folder).as_posix()
            stat = path.stat()
            digest = hashlib.sha256(f"{name} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()
            place = kept / f"{digest[:32]}.npz"
            source = name.split("/")[0] if "/" in name else path.stem
            try:
                if not place.is_file():
                    _keep(_watched(source, name, path, reader, watchers), place)
                pairs.append(_read(place, source, name))
            except MediaError as error:
                left_out[name] = error.reason
            on_watched(number, len(files), name)
    return pairs, left_out


def windows_of(waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows float32 [n, 220500] of a sound, every five seconds, the last where it ends, and their starts."""
    sound = normalised(waveform, SAMPLE_RATE)
    if len(sound) < WINDOW_LENGTH:
        sound = np.resize(sound, WINDOW_LENGTH)
    hop, last = int(HOP_S * SAMPLE_RATE), len(sound) - WINDOW_LENGTH
    starts = np.unique(np.append(np.arange(0, last + 1, hop), last))
    return np.stack([sound[start : start + WINDOW_LENGTH] for start in starts]), starts / SAMPLE_RATE


def _watched(source: str, name: str, path: Path, reader: FootageProcess, watchers: Watchers) -> Pair:
    sound = decode(path, sample_rates=[SAMPLE_RATE], limits=_LIMITS).waveforms[SAMPLE_RATE]
    seen = look(reader.read(path), watchers.network)
    windows, starts_s = windows_of(sound)
    heard, measured = [], []
    with torch.inference_mode():
        for window in windows:
            one, other = watchers.space.hear(torch.from_numpy(window)[None])
            heard.append(one[0].numpy())
            measured.append(other[0].numpy())
    return Pair(source, name, seen, np.stack(heard), np.stack(measured), starts_s)


def _keep(pair: Pair, place: Path) -> None:
    file = io.BytesIO()
    seen = np.frombuffer(pair.seen.packed(), np.uint8)
    np.savez(file, seen=seen, heard=pair.heard, measured=pair.measured, starts_s=pair.starts_s)
    beside = place.with_suffix(".part")
    beside.write_bytes(file.getvalue())
    beside.replace(place)


def _read(place: Path, source: str, name: str) -> Pair:
    with np.load(place, allow_pickle=False) as of:
        return Pair(source, name, Seen.unpacked(of["seen"].tobytes()), of["heard"], of["measured"], of["starts_s"])


def parted(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and pairs to choose by, parted by source, which its name alone decides."""
    chosen = {source for source in {pair.source for pair in pairs} if _lot(source) < share}
    learnt = [pair for pair in pairs if pair.source not in chosen]
    return learnt, [pair for pair in pairs if pair.source in chosen]


def _lot(source: str) -> float:
    return int(hashlib.sha256(source.encode()).hexdigest()[:8], 16) / 16**8
