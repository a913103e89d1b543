"""The child's side of :mod:`encoders.media.child_process`: requests in, answers out, until EOF."""

from __future__ import annotations

import json
import logging
import math
import resource
import sys
import time
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from encoders.errors import MediaError, UnreadableMediaError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Answering(Protocol):
    """What is done with a source: the request's fields in, those of the answer and its arrays out."""

    def __call__(self, source: Path | bytes, request: dict[str, Any], /) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Answer one request, or raise a MediaError."""


def serve_with(answering: Answering, requests: IO[bytes], answers: IO[bytes], *, memory_bytes: int, cpu_s: int) -> None:
    """Answer one request after the other, each within so much CPU time, all within so much address space."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    warnings = BufferingHandler(sys.maxsize)
    warnings.setLevel(logging.WARNING)
    logging.getLogger().addHandler(warnings)
    while line := requests.readline():
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + cpu_s)
        request = json.loads(line)
        source = Path(request["path"]) if "path" in request else requests.read(request["size"])
        answer, arrays = _answer(answering, source, request, memory_bytes)
        answer["warnings"] = [record.getMessage() for record in warnings.buffer]
        answer["arrays"] = [(array.dtype.str, array.shape) for array in arrays]
        answers.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            answers.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        answers.flush()
        warnings.flush()


def _limit(kind: int, value: int) -> None:
    """Limit this process, within what the system lets it have: for good, but for CPU time, which adds up over files."""
    _, most = resource.getrlimit(kind)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, most if kind == resource.RLIMIT_CPU else value))


def _answer(
    answering: Answering, source: Path | bytes, request: dict[str, Any], memory_bytes: int
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    try:
        return answering(source, request)
    except MediaError as error:
        return {"error": type(error).__name__, "reason": error.reason}, []
    except MemoryError:
        reason = f"decoding needs more than {memory_bytes >> 20} MiB of memory"
        return {"error": UnreadableMediaError.__name__, "reason": reason}, []
