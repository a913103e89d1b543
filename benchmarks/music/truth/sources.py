"""Where the packages of recordings lie, and how sound is written beside its truth."""

from __future__ import annotations

import wave
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from indexer.packs.fetch import unpack_debs

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
FULL_SCALE = 2**15 - 1


def tree(package: str, trees: Path) -> Path:
    """The files of a Debian package, which is downloaded and unpacked below `trees` unless it is there.

    Raises
    ------
    PackError
        If it cannot be had.
    """
    if not (trees / package).is_dir():
        trees.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=trees) as scratch:
            debs, unpacked = Path(scratch, "debs"), Path(scratch, "trees")
            for folder in (debs, unpacked):
                folder.mkdir()
            unpack_debs([package], debs, unpacked)
            (unpacked / package).rename(trees / package)
    return trees / package


def write_wave(path: Path, waveform: NDArray[np.float32]) -> None:
    """Write mono sound at 22,050 Hz as 16 bits, turned down if it would clip."""
    quiet = waveform / max(1.0, float(np.abs(waveform).max(initial=0.0)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(SAMPLE_RATE)
        opened.writeframes(np.round(quiet * FULL_SCALE).astype("<i2").tobytes())
