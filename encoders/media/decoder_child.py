"""The child process of :class:`encoders.media.decoder_process.DecoderProcess`: requests in, answers out, until EOF.

python -m encoders.media.decoder_child MEMORY_BYTES CPU_S
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from encoders.media.child_serving import serve_with
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.files.comments import comments
from encoders.media.files.packets import identify
from encoders.media.native import write_samples


def serve(requests: IO[bytes], answers: IO[bytes], *, memory_bytes: int, cpu_s: int) -> None:
    """Answer one request after the other, each within so much CPU time, all within so much address space."""
    serve_with(_decoded, requests, answers, memory_bytes=memory_bytes, cpu_s=cpu_s)


def _decoded(source: Path | bytes, request: dict[str, Any]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    if request.get("identify"):
        return {"audio_hash": identify(source)}, []
    if request.get("comments"):
        return {"comments": comments(source)}, []
    limits = MediaLimits(**request["limits"])
    if isinstance(source, Path) and "samples_to" in request:
        with Path(request["samples_to"]).open("r+b") as file:
            return {"written": asdict(write_samples(source, file, limits=limits))}, []
    audio = decode(source, sample_rates=request["sample_rates"], limits=limits)
    said = {"duration_s": audio.duration_s, "audio_hash": audio.audio_hash, "partial": audio.partial}
    return said | {"notes": audio.notes, "rates": list(audio.waveforms)}, list(audio.waveforms.values())


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, memory_bytes=int(sys.argv[1]), cpu_s=int(sys.argv[2]))
