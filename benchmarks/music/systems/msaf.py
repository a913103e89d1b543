"""Algorithms of MSAF, which another Python runs (:mod:`benchmarks.music.systems.msaf_process`): asked for by its path.

sf: structural features (Serrà et al., 2014), labelled by 2D-Fourier magnitude coefficients (Nieto and Bello, 2014);
scluster: Laplacian segmentation (McFee and Ellis, 2014); foote: checkerboard novelty (Foote, 2000). They tell no
functions.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from benchmarks.music.songs import Music, Part
from benchmarks.music.systems import msaf_process
from benchmarks.music.systems.system import System
from benchmarks.music.truth.sources import write_wave

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS = ("sf:fmc2d", "scluster:scluster", "foote:fmc2d")


def systems(python: Path) -> list[System]:
    """All pairs, run by that Python."""
    return [System(f"MSAF {pair}", "0.1.80", frozenset({"parts"}), partial(_hear, python, pair)) for pair in PAIRS]


@cache
def _process(python: Path, pair: str) -> tuple[subprocess.Popen[str], Path]:
    folder = Path(mkdtemp(prefix="msaf-"))
    command = [str(python.absolute()), str(Path(msaf_process.__file__).absolute()), pair]
    started = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return started, folder


def _hear(python: Path, pair: str, waveform: NDArray[np.float32]) -> Music:
    process, folder = _process(python, pair)
    audio = folder / "audio.wav"
    write_wave(audio, waveform)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process of MSAF has no pipes")
    process.stdin.write(f"{audio}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{python}: MSAF ended with status {process.wait()}")
    times, groups = json.loads(line)[pair]
    return Music(
        parts=tuple(
            Part(start, end, None, f"{group}") for (start, end), group in zip(pairwise(times), groups, strict=True)
        )
    )
