"""The child process of :class:`encoders.media.video.process.FootageProcess`: requests in, answers out, until EOF.

python -m encoders.media.video.child MEMORY_BYTES CPU_S
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.media.child_serving import serve_with
from encoders.media.video.footage import VideoLimits
from encoders.media.video.reading import read_footage


def read(source: Path | bytes, request: dict[str, Any]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Answer a request of `FootageProcess.read`."""
    footage = read_footage(
        source, start_s=request["start_s"], end_s=request["end_s"], limits=VideoLimits(**request["limits"])
    )
    fields = {field.name: getattr(footage, field.name) for field in dataclasses.fields(footage)}
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    values = {name: value for name, value in fields.items() if name not in arrays}
    return {"values": values, "names": list(arrays)}, list(arrays.values())


if __name__ == "__main__":
    cv2.setNumThreads(1)
    serve_with(read, sys.stdin.buffer, sys.stdout.buffer, memory_bytes=int(sys.argv[1]), cpu_s=int(sys.argv[2]))
