"""Weights on disk: safetensors for our own, PyTorch files of others read without running what they contain.

Our files have deterministic bytes: the same tensors and metadata always give the same sha256, which becomes the
encoder's version. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from encoders.errors import CheckpointMismatchError, MissingWeightsError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_NAMED_AT_MOST = 3
_STEP_COUNTER = ".num_batches_tracked"

# What PyTorch's restricted unpickler raises on damaged files, beside its own error.
_DAMAGE = (SafetensorError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


class _Inert:
    """Stands in for a class of PyTorch Lightning that a checkpoint mentions: takes anything, does nothing."""

    def __init__(self, *_: object) -> None: ...


_HARMLESS_GLOBALS: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    argparse.Namespace,
    (dict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (_Inert, "pytorch_lightning.callbacks.early_stopping.EarlyStopping"),
    (_Inert, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors or PyTorch file; nothing in the file is executed.

    Returns
    -------
    Tensors by key, on the CPU; of a training checkpoint those under ``state_dict``.

    Raises
    ------
    MissingWeightsError
        If there is no such file.
    WeightsError
        If the file is damaged, of another format, or a pickle that asks for more than tensors.
    """
    if not path.is_file():
        raise MissingWeightsError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(_HARMLESS_GLOBALS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch wraps the reason into advice on how to load the file unsafely; the bare one is its context.
        reason = str(error.__context__ or error).partition("\n")[0].partition(" Please use")[0]
        raise WeightsError(f"{path}: refused, it holds more than tensors or is damaged: {reason}") from error
    except _DAMAGE as error:
        raise WeightsError(f"{path}: no checkpoint of PyTorch or safetensors, or a damaged one") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    entries = state.items() if isinstance(state, dict) else ()
    tensors = {str(key): value for key, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors by name")
    return tensors


def save_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file beside its place, flush it to disk and move it there in one step.

    The library orders metadata at random, so that its bytes differ from run to run: here they are put before the header
    that it writes without any, sorted.
    """
    content = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    end = 8 + int.from_bytes(content[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8:end])}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            file.write(memoryview(content)[end:])
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors into a module that must have exactly these keys and shapes.

    Batch norm's counters of training steps do not count: nothing here uses them, and few formats keep them.

    Raises
    ------
    CheckpointMismatchError
        Naming the missing, unexpected and mis-shaped keys, the last with both shapes.
    """
    expected = {key: value for key, value in module.state_dict().items() if not key.endswith(_STEP_COUNTER)}
    tensors = {key: value for key, value in tensors.items() if not key.endswith(_STEP_COUNTER)}
    shapes = [
        f"{key} is {list(tensors[key].shape)}, the network has {list(expected[key].shape)}"
        for key in expected
        if key in tensors and tensors[key].shape != expected[key].shape
    ]
    problems = [
        *_listed("missing", [key for key in expected if key not in tensors]),
        *_listed("unexpected", [key for key in tensors if key not in expected]),
        *_listed("of another shape", shapes),
    ]
    if problems:
        raise CheckpointMismatchError(f"checkpoint does not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(tensors, strict=False)


def _listed(what: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = ", …" if len(keys) > _NAMED_AT_MOST else ""
    return [f"{len(keys)} {what}: {', '.join(keys[:_NAMED_AT_MOST])}{more}"]
