"""A corpus as a network's own input features, computed once, so that an epoch is neither a decode nor an STFT.

    <corpus>/features/<digest>.f16     float16 [frames of all tracks, bins], memory-mapped
    <corpus>/features/<digest>.json    where each track begins

The digest is of the tracks and of what the network's front end makes of a fixed noise, so that another front end, or
other music, never reads what was kept for this one.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from encoders.training.corpus import Crops, decoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from encoders.training.corpus import CorpusTrack

_PIECE_S = 60
_CONTEXT = 16  # frames: more than half an FFT of any front end


class FrontEnd(Protocol):
    """A network whose front end has nothing to learn, and so can be run ahead of the training."""

    sample_rate: int
    hop_length: int

    def features(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [batch, samples] → features [batch, bins, 1 + samples // hop_length]."""


class Features(Crops):
    """Tracks as features, float16 [frames, bins]; crops are float32 [n, bins, length]."""

    def part(self, first: int, last: int) -> Features:
        """Only the tracks from `first` up to before `last`, in the same array."""
        return Features(self.values, self.starts[first : last + 1], self.per_second)

    def crops(self, tracks: NDArray[np.int64], offsets: NDArray[np.int64], length: int) -> Tensor:
        """Frames side by side."""
        return super().crops(tracks, offsets, length).mT


def load_features(directory: Path, tracks: Sequence[CorpusTrack], network: FrontEnd) -> Features:
    """Read the features of these tracks, computing them first where that has not been done.

    Raises
    ------
    CorpusError
        If a prepared file is missing or damaged; it is named.
    """
    kept = directory / "features" / f"{_digest(tracks, network)}.f16"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        _compute(directory, tracks, network, kept)
    starts = np.array(json.loads(kept.with_suffix(".json").read_text(encoding="utf-8")), np.int64)
    frames = np.memmap(kept, np.float16, "c").reshape(starts[-1], -1)
    return Features(torch.from_numpy(frames), starts, network.sample_rate / network.hop_length)


def whole_track(waveform: Tensor, network: FrontEnd) -> Tensor:
    """Features float32 [frames, bins] of a waveform [samples], piece by piece: an hour's STFT fits no small memory."""
    hop = network.hop_length
    piece, context = _PIECE_S * network.sample_rate // hop, _CONTEXT
    frames = []
    for first in range(0, len(waveform) // hop + 1, piece):
        before = min(first, context)
        heard = waveform[(first - before) * hop : (first + piece + context) * hop]
        with torch.inference_mode():
            frames.append(network.features(heard[None])[0, :, before : before + piece].mT)
    return torch.cat(frames)


def _compute(directory: Path, tracks: Sequence[CorpusTrack], network: FrontEnd, kept: Path) -> None:
    """Write beside the place and rename, the array last: an array that is there is complete."""

    def of_track(track: CorpusTrack) -> NDArray[np.float16]:
        torch.set_num_threads(1)  # a core a track, not torch's own threads
        waveform = decoded(directory, track, sample_rate=network.sample_rate)
        features: NDArray[np.float16] = whole_track(torch.from_numpy(waveform), network).half().numpy()
        return features

    starts = [0]
    beside = kept.with_suffix(".part")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool, beside.open("wb") as file:
        for frames in pool.map(of_track, tracks):
            file.write(np.ascontiguousarray(frames).data)
            starts.append(starts[-1] + len(frames))
    kept.with_suffix(".json").write_text(json.dumps(starts), encoding="utf-8")
    beside.replace(kept)


def _digest(tracks: Sequence[CorpusTrack], network: FrontEnd) -> str:
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 2 * network.sample_rate).astype(np.float32))
    digest = hashlib.sha256(network.features(noise[None]).half().numpy().tobytes())
    for track in tracks:
        digest.update(track.source_sha256.encode())
    return digest.hexdigest()[:32]
