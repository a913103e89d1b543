"""The child process of :class:`encoders.media.decoder_process.DecoderProcess`: requests in, answers out, until EOF.

python -m encoders.media.decoder_child MEMORY_BYTES CPU_S
"""

import json
import logging
import math
import resource
import sys
import time
from dataclasses import asdict
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from encoders.errors import MediaError, UnreadableMediaError
from encoders.media.decode import MediaLimits, decode
from encoders.media.native import write_samples


def serve(requests: IO[bytes], answers: IO[bytes], *, memory_bytes: int, cpu_s: int) -> None:
    """Answer one request after the other, each within so much CPU time, all within so much address space."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    warnings = BufferingHandler(sys.maxsize)
    warnings.setLevel(logging.WARNING)
    logging.getLogger().addHandler(warnings)
    while line := requests.readline():
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + cpu_s)
        request = json.loads(line)
        answer, waveforms = _answer(request, requests, memory_bytes)
        answer["warnings"] = [record.getMessage() for record in warnings.buffer]
        answers.write(json.dumps(answer).encode() + b"\n")
        for waveform in waveforms:
            answers.write(waveform.data)
        answers.flush()
        warnings.flush()


def _limit(kind: int, value: int) -> None:
    """Limit this process, within what the system lets it have: for good, but for CPU time, which adds up over files."""
    _, most = resource.getrlimit(kind)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, most if kind == resource.RLIMIT_CPU else value))


def _answer(
    request: dict[str, Any], requests: IO[bytes], memory_bytes: int
) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    limits = MediaLimits(**request["limits"])
    source = Path(request["path"]) if "path" in request else requests.read(request["size"])
    try:
        if isinstance(source, Path) and "samples_to" in request:
            with Path(request["samples_to"]).open("r+b") as file:
                return {"written": asdict(write_samples(source, file, limits=limits))}, []
        audio = decode(source, sample_rates=request["sample_rates"], limits=limits)
    except MediaError as error:
        return {"error": type(error).__name__, "reason": error.reason}, []
    except MemoryError:
        reason = f"decoding needs more than {memory_bytes >> 20} MiB of memory"
        return {"error": UnreadableMediaError.__name__, "reason": reason}, []
    sizes = [(rate, waveform.size) for rate, waveform in audio.waveforms.items()]
    return {"duration_s": audio.duration_s, "waveforms": sizes}, list(audio.waveforms.values())


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, memory_bytes=int(sys.argv[1]), cpu_s=int(sys.argv[2]))
