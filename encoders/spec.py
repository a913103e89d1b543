"""What an encoder is, which ones there are, and how one is loaded and run.

A new encoder is one module with an :class:`EncoderSpec` and one line in :data:`REGISTRY`, or, from elsewhere, one entry
of the setting ``SOUNDALIKE_ENCODERS``. Its network takes waveform windows float32 [batch, window_length] and
returns ``(embedding [batch, dim], tag_logits [batch, n_tags])``; n_tags may be 0. An encoder's version names the bytes
of its weights, so two embeddings with one version are comparable.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.checkpoints.sha256 import sha256_file, sha256_tensors
from encoders.encoder import Encoder
from encoders.errors import CheckpointMismatchError, DeviceError, MissingWeightsError, UnknownEncoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REGISTRY: dict[str, str] = {
    "clmr": "encoders.models.embeddings.clmr:SPEC",
    "clmr-samplecnn": "encoders.models.embeddings.samplecnn:SPEC",
    "musicnn": "encoders.models.embeddings.musicnn:SPEC",
    "musicnn-mtt": "encoders.models.embeddings.musicnn:MTT_SPEC",
    "soundalike": "encoders.models.embeddings.soundalike:SPEC",
    "spectnt": "encoders.models.embeddings.spectnt:SPEC",
    "tagging": "encoders.models.embeddings.tagging:SPEC",
    "tagging-msd": "encoders.models.embeddings.tagging:MSD_SPEC",
    "tagging-msd-student": "encoders.models.embeddings.tagging:MSD_STUDENT_SPEC",
    "tagging-student": "encoders.models.embeddings.tagging:STUDENT_SPEC",
}
"""Encoder name → ``module:attribute`` of its :class:`EncoderSpec`."""

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"
"""Weights that we trained; a file of the same name among the user's own goes before them."""

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
    fetch : writes the published weights to the file that it is given
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
    fetch: Callable[[Path], None] | None = None
    complete: bool = False
    cpu_batch_size: int = 1

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_length / self.sample_rate

    def weights_in(self, directory: Path) -> Path:
        """Where this encoder's weights lie in a directory of weights, or would."""
        return directory / f"{self.name}.safetensors"


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
    paths = (spec.weights_in(directory) for directory in (weights_dir, SHIPPED_WEIGHTS))
    return next((path for path in paths if path.is_file()), None)


def load_network(spec: EncoderSpec, weights_dir: Path) -> tuple[nn.Module, str]:
    """An encoder's network with its weights, and the version that names them.

    Raises
    ------
    MissingWeightsError
        If there are none.
    CheckpointMismatchError
        If the file does not fit the network, or is not the one the spec pins.
    """
    network = spec.build()
    if spec.complete:
        return network, f"{spec.name}-{sha256_tensors(network.state_dict())[:12]}"
    path = weights_file(spec, weights_dir)
    if path is None:
        command = f"fetch {spec.name}" if spec.fetch else f"import {spec.name} FILE"
        missing = spec.weights_in(weights_dir)
        raise MissingWeightsError(f"{missing}: no weights for {spec.name}; run `soundalike weights {command}`")
    sha256 = sha256_file(path)
    if spec.sha256 is not None and sha256 != spec.sha256:
        raise CheckpointMismatchError(f"{path}: sha256 is {sha256}, {spec.name} is pinned to {spec.sha256}")
    load_into(network, read_checkpoint(path))
    return network, f"{spec.name}-{sha256[:12]}"


def load_encoder(name: str, *, weights_dir: Path, device: str = "auto", also: Mapping[str, str] = _NONE) -> Encoder:
    """Build an encoder and load ``<name>.safetensors`` into it, from `weights_dir` or as shipped.

    Parameters
    ----------
    name, also : as for :func:`encoder_spec`
    weights_dir : directory of the user's weights files
    device : a torch device, or ``"auto"`` for CUDA where there is one

    Raises
    ------
    UnknownEncoderError, MissingWeightsError, CheckpointMismatchError, DeviceError
        As their names say.
    """
    spec = encoder_spec(name, also)
    network, version = load_network(spec, weights_dir)
    return Encoder(spec, network, version=version, device=torch_device(device))


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
