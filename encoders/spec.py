"""What an encoder is, which ones there are, and how one is loaded and run.

A new encoder is one module with an :class:`EncoderSpec` and one line in :data:`REGISTRY`, or, from elsewhere, one entry
of the setting ``SOUNDALIKE_ENCODERS``. Its network takes waveform windows float32 [batch, window_length] and
returns ``(embedding [batch, dim], tag_logits [batch, n_tags])``; n_tags may be 0. An encoder's version names the bytes
of its weights, so two embeddings with one version are comparable.
"""

from __future__ import annotations

import importlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from encoders.allocator import keep_freed_memory
from encoders.checkpoints import load_into, read_checkpoint
from encoders.errors import (
    CheckpointMismatchError,
    DeviceError,
    MissingWeightsError,
    NonFiniteError,
    ShapeError,
    UnknownEncoderError,
)
from encoders.folding import fold_batch_norms
from encoders.segments import Segments, segment
from encoders.sha256 import sha256_file, sha256_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

REGISTRY: dict[str, str] = {
    "clmr": "encoders.clmr:SPEC",
    "clmr-samplecnn": "encoders.samplecnn:SPEC",
    "musicnn": "encoders.musicnn:SPEC",
    "musicnn-mtt": "encoders.musicnn:MTT_SPEC",
    "soundalike": "encoders.soundalike:SPEC",
    "spectnt": "encoders.spectnt:SPEC",
    "tagging": "encoders.tagging:SPEC",
    "tagging-msd": "encoders.tagging:MSD_SPEC",
    "tagging-msd-student": "encoders.tagging:MSD_STUDENT_SPEC",
    "tagging-student": "encoders.tagging:STUDENT_SPEC",
}
"""Encoder name → ``module:attribute`` of its :class:`EncoderSpec`."""

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"
"""Weights that we trained; a file of the same name among the user's own goes before them."""

_GPU_BATCH_SIZE = 32
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder: its input and output, its network, and where its weights come from.

    Attributes
    ----------
    name : registry name, also the stem of the weights file
    sample_rate : Hz
    window_length : samples the network takes at once
    dim : size of an embedding
    build : makes the network with untrained weights
    convert : published checkpoint's keys → the network's own keys
    reference : the paper
    license : of the published weights
    tags : labels of the tag logits, in their order
    sha256 : of the weights file, where only one is right
    fetch : gets the published weights into a weights directory and returns the file
    complete : `build` gives a network that has its weights, and no file is looked for
    cpu_batch_size : windows that pass the network together on a CPU core: as many as its caches hold
    """

    name: str
    sample_rate: int
    window_length: int
    dim: int
    build: Callable[[], nn.Module]
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    reference: str
    license: str
    tags: tuple[str, ...] = ()
    sha256: str | None = None
    fetch: Callable[[Path], Path] | None = None
    complete: bool = False
    cpu_batch_size: int = 1

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_length / self.sample_rate


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
        self._check(windows)
        batch_size = batch_size or (self.spec.cpu_batch_size if self.device.type == "cpu" else _GPU_BATCH_SIZE)
        embeddings = np.empty((len(windows), self.spec.dim), np.float32)
        tag_scores = np.empty((len(windows), len(self.spec.tags)), np.float32)

        def encode_rows(start: int) -> None:
            rows = slice(start, start + batch_size)
            with torch.inference_mode():
                batch = torch.tensor(windows[rows], dtype=torch.float32, device=self.device)
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
        """Cut a waveform float32 [samples], at the spec's sample rate, into this encoder's windows.

        Raises
        ------
        SilentAudioError
            If every window is silent.
        """
        return segment(waveform, sample_rate=self.spec.sample_rate, window_length=self.spec.window_length)

    def tags(self, encoding: Encoding) -> dict[str, float]:
        """Mean score in [0, 1] of each tag over the windows of an encoding; empty for an encoder that does not tag."""
        return dict(zip(self.spec.tags, encoding.tag_scores.mean(axis=0).tolist(), strict=True))

    def _check(self, windows: NDArray[np.float32]) -> None:
        if windows.ndim != 2 or windows.shape[1] != self.spec.window_length:
            wanted = f"[n, {self.spec.window_length}]"
            raise ShapeError(f"{self.spec.name} takes windows of shape {wanted}, not {list(windows.shape)}")
        if not np.isfinite(windows).all():
            raise NonFiniteError(f"a window for {self.spec.name} holds NaN or infinity")


def encoder_names(also: Mapping[str, str] = _NONE) -> tuple[str, ...]:
    """Return the registered names and the user's own, sorted."""
    return tuple(sorted({*REGISTRY, *also}))


def encoder_spec(name: str, also: Mapping[str, str] = _NONE) -> EncoderSpec:
    """Find the spec of a registered encoder, or of any by ``module:attribute``.

    Parameters
    ----------
    also : the user's own encoders, name → ``module:attribute``; the attribute is a spec, or a function that makes one

    Raises
    ------
    UnknownEncoderError
        If the name is not registered, or what it points to is not there or no spec.
    """
    module_name, _, attribute = {**REGISTRY, **also}.get(name, name).partition(":")
    if not attribute:
        raise UnknownEncoderError(name, encoder_names(also))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnknownEncoderError(name, encoder_names(also), error) from error
    spec = found() if callable(found) else found
    if not isinstance(spec, EncoderSpec):
        raise UnknownEncoderError(name, encoder_names(also))
    return replace(spec, name=name) if name in also else spec


def weights_file(spec: EncoderSpec, weights_dir: Path) -> Path | None:
    """The user's weights of an encoder, else those that are shipped; none where there are neither."""
    paths = (directory / f"{spec.name}.safetensors" for directory in (weights_dir, SHIPPED_WEIGHTS))
    return next((path for path in paths if path.is_file()), None)


def load_encoder(name: str, *, weights_dir: Path, device: str = "auto", also: Mapping[str, str] = _NONE) -> Encoder:
    """Build an encoder and load ``<name>.safetensors`` into it, from `weights_dir` or as shipped.

    Parameters
    ----------
    name, also : as for :func:`encoder_spec`
    weights_dir : directory of the user's weights files
    device : a torch device, or ``"auto"`` for CUDA where there is one

    Raises
    ------
    UnknownEncoderError, MissingWeightsError, DeviceError
        As their names say.
    CheckpointMismatchError
        If the file does not fit the network, or is not the one the spec pins.
    """
    spec = encoder_spec(name, also)
    network = spec.build()
    if spec.complete:
        version = f"{spec.name}-{sha256_tensors(network.state_dict())[:12]}"
        return Encoder(spec, network, version=version, device=torch_device(device))
    path = weights_file(spec, weights_dir)
    if path is None:
        command = f"fetch {spec.name}" if spec.fetch else f"import {spec.name} FILE"
        missing = weights_dir / f"{spec.name}.safetensors"
        raise MissingWeightsError(f"{missing}: no weights for {spec.name}; run `soundalike weights {command}`")
    sha256 = sha256_file(path)
    if spec.sha256 is not None and sha256 != spec.sha256:
        raise CheckpointMismatchError(f"{path}: sha256 is {sha256}, {spec.name} is pinned to {spec.sha256}")
    load_into(network, read_checkpoint(path))
    return Encoder(spec, network, version=f"{spec.name}-{sha256[:12]}", device=torch_device(device))


def torch_device(name: str) -> torch.device:
    """The device of this name; "auto" is CUDA where there is one.

    Raises
    ------
    DeviceError
        If it cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {name!r} cannot be used: {error}") from error
    return device
