"""Algorithms of MSAF, which another Python runs (:mod:`benchmarks.music.systems.msaf_process`): asked for by its path.

sf: structural features (Serrà et al., 2014), labelled by 2D-Fourier magnitude coefficients (Nieto and Bello, 2014);
scluster: Laplacian segmentation (McFee and Ellis, 2014); foote: checkerboard novelty (Foote, 2000). They tell no
functions. What they hear is the same for all, so all are asked about a song at once.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, TYPE_CHECKING
from weakref import finalize

from benchmarks.music.songs import Music, Part
from benchmarks.music.systems import msaf_process
from benchmarks.music.systems.system import System
from benchmarks.music.truth.sources import write_wave

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS = ("sf:fmc2d", "scluster:scluster", "foote:fmc2d")
SHORTEST_S = 0.05

Answers = dict[str, tuple[list[float], list[int]]]
"""Of each pair, the boundaries in seconds and the groups between them."""


def systems(python: Path) -> list[System]:
    """All pairs, run by that Python."""
    asked = Asked(python)
    return [System(f"MSAF {pair}", "0.1.80+2", frozenset({"parts"}), partial(_hear, asked, pair)) for pair in PAIRS]


@dataclass(eq=False)
class Asked:
    """A process that is started by the first question, and what it answered, by the sha256 of the waveform."""

    python: Path
    folder: Path = field(default_factory=lambda: Path(mkdtemp(prefix="msaf-")))
    pipes: tuple[IO[str], IO[str]] | None = None
    answers: dict[bytes, Answers] = field(default_factory=dict)

    def about(self, waveform: NDArray[np.float32]) -> Answers:
        """What all pairs say.

        Raises
        ------
        RuntimeError
            If the process ended.
        """
        song = hashlib.sha256(waveform.tobytes()).digest()
        if song not in self.answers:
            questions, answers = self._started()
            audio = self.folder / "audio.wav"
            write_wave(audio, waveform)
            questions.write(f"{audio}\n")
            questions.flush()
            line = answers.readline()
            if not line:
                raise RuntimeError(f"{self.python}: MSAF ended; {self.folder / 'errors.txt'} says why")
            self.answers[song] = json.loads(line)
        return self.answers[song]

    def _started(self) -> tuple[IO[str], IO[str]]:
        if self.pipes is None:
            # Isolated: beside the script lies a module that is called `msaf` as well, this one.
            command = [str(self.python.absolute()), "-I", str(Path(msaf_process.__file__).absolute()), *PAIRS]
            with (self.folder / "errors.txt").open("w") as errors:
                process = subprocess.Popen(
                    command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
                )
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the process of MSAF has no pipes")
            self.pipes = process.stdin, process.stdout
            finalize(self, _end, process)
        return self.pipes


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes what it reads from, at which it ends, and waits for that
        pass


def _hear(asked: Asked, pair: str, waveform: NDArray[np.float32]) -> Music:
    times, groups = asked.about(waveform)[pair]
    # The last frame and what is left of the song after it are often sections of their own.
    while len(groups) > 1 and times[-1] - times[-2] < SHORTEST_S:
        times, groups = [*times[:-2], times[-1]], groups[:-1]
    return Music(
        parts=tuple(
            Part(start, end, None, f"{group}") for (start, end), group in zip(pairwise(times), groups, strict=True)
        )
    )
