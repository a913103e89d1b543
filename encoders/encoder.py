"""A network at work: waveform windows in, embeddings and tag scores out."""

from __future__ import annotations

import copy
import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.acceleration import fold_batch_norms, keep_freed_memory
from encoders.errors import NonFiniteError, ShapeError
from encoders.media.loudness import normalised
from encoders.media.segments import Segments, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from encoders.spec import EncoderSpec

PREPARATION = "l15"
"""The mark, in versions, of how sound is prepared for a network: at one loudness. Another way needs another mark."""

_PREPARE: Mapping[str, Callable[[NDArray[np.float32], int], NDArray[np.float32]]] = {
    PREPARATION: normalised,
    "": lambda waveform, _: waveform,
}
"""Mark → from waveform float32 [samples] and sample rate to the waveform that is cut. Old ones stay, so that a
catalogue that was encoded so can be asked by audio until it is encoded again; the oldest have no mark."""

_GPU_BATCH_SIZE = 32


def marked(weights: str, mark: str = PREPARATION) -> str:
    """The version of an encoder, of that of its weights and of how sound is prepared for it."""
    return f"{weights}-{mark}" if mark else weights


@dataclass(frozen=True)
class Encoding:
    """Embeddings float32 [n, dim] of n windows, and their tag scores float32 [n, n_tags] in [0, 1]."""

    embeddings: NDArray[np.float32]
    tag_scores: NDArray[np.float32]


class Encoder:
    """A network with its weights on a device; numpy in, numpy out, safe to share between threads."""

    def __init__(self, spec: EncoderSpec, network: nn.Module, *, version: str, device: torch.device) -> None:
        self.spec = spec
        self.version = version
        self._prepare = _PREPARE[PREPARATION]
        self.device = device
        fold_batch_norms(network.eval())
        # Channels last: convolutions of few channels take half the time on a CPU, and no longer on a GPU.
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.type == "cpu":
            keep_freed_memory()
        # A CPU is used best by a core a batch: torch's own threads wait for each other within one, and collapse as soon
        # as something else (the decoder) wants a core too.
        workers = 1 if device.type == "cuda" else len(os.sched_getaffinity(0))
        self._threads = ThreadPoolExecutor(workers, "encode", initializer=torch.set_num_threads, initargs=(1,))

    def of_version(self, version: str) -> Encoder:
        """The same weights with the preparation that `version` names; where it names none of theirs, this encoder."""
        weights = self.version.removesuffix(f"-{PREPARATION}")
        for mark, prepare in _PREPARE.items():
            if version != self.version and version == marked(weights, mark):
                other = copy.copy(self)
                other.version, other._prepare = version, prepare
                return other
        return self

    def encode(self, windows: NDArray[np.float32], *, batch_size: int | None = None) -> Encoding:
        """Encode waveform windows.

        Parameters
        ----------
        windows : float32 [n, window_length] at the spec's sample rate; n may be 0
        batch_size : windows that pass the network together: changes speed and memory, not the result
            By default 32 on a GPU, and what the spec says on a CPU.

        Raises
        ------
        ShapeError
            If the windows are not as long as the spec says.
        NonFiniteError
            If a sample is NaN or infinite.
        """
        if windows.ndim != 2 or windows.shape[1] != self.spec.window_length:
            expected = f"[n, {self.spec.window_length}]"
            raise ShapeError(f"{self.spec.name} takes windows of shape {expected}, not {list(windows.shape)}")
        batch_size = batch_size or (self.spec.cpu_batch_size if self.device.type == "cpu" else _GPU_BATCH_SIZE)
        embeddings = np.empty((len(windows), self.spec.dim), np.float32)
        tag_scores = np.empty((len(windows), len(self.spec.tags)), np.float32)

        def encode_rows(start: int) -> None:
            rows = slice(start, start + batch_size)
            with torch.inference_mode():
                batch = torch.tensor(windows[rows], dtype=torch.float32, device=self.device)
                # A sum costs a third of asking every sample, and is not finite when one of them is not.
                if not math.isfinite(float(batch.sum())) and not bool(batch.isfinite().all()):
                    raise NonFiniteError(f"a window for {self.spec.name} holds NaN or infinity")
                embedding, tag_logits = self._network(batch)
                embeddings[rows] = embedding.cpu().numpy()
                tag_scores[rows] = tag_logits.sigmoid().cpu().numpy()

        deque(self._threads.map(encode_rows, range(0, len(windows), batch_size)), maxlen=0)
        return Encoding(embeddings, tag_scores)

    def encode_tracks(self, tracks: Sequence[NDArray[np.float32]]) -> list[Encoding]:
        """Encode the windows of several tracks as one, each float32 [n, window_length]; errors as for `encode`."""
        together = self.encode(np.concatenate(tracks))
        ends = np.cumsum([len(windows) for windows in tracks])[:-1]
        parts = (np.split(array, ends) for array in (together.embeddings, together.tag_scores))
        return [Encoding(embeddings, tag_scores) for embeddings, tag_scores in zip(*parts, strict=True)]

    def segment(self, waveform: NDArray[np.float32]) -> Segments:
        """Prepare a waveform float32 [samples], at the spec's sample rate, and cut it into this encoder's windows.

        Raises
        ------
        SilentAudioError
            If every window is silent.
        """
        rate = self.spec.sample_rate
        return segment(self._prepare(waveform, rate), sample_rate=rate, window_length=self.spec.window_length)

    def tags(self, encoding: Encoding) -> dict[str, float]:
        """Mean score in [0, 1] of each tag over the windows of an encoding; empty for an encoder that does not tag."""
        return dict(zip(self.spec.tags, encoding.tag_scores.mean(axis=0).tolist(), strict=True))
