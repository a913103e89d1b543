"""BeatNet's published weights: how much each frame of 20 ms is a beat, how much it is a downbeat.

Heydari, Cwitkowitz and Duan, "BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter tracking",
ISMIR 2021. Weights: the wheel of BeatNet 1.1.3, CC BY 4.0; nothing of its code is used. Three networks, each of which
was trained without one collection (GTZAN, Ballroom, Rock Corpus). Here it is a baseline, and the teacher of our
rhythm network on music that nobody annotated.

Features are those that the weights were trained on, which are madmom's (Böck et al., 2016), bit for bit but for
rounding: magnitudes of frames of 1411 samples at 22,050 Hz, centred every 441, Hann; triangles at 24 an octave from
30 Hz up, each of sum 1, those that would share a bin folded; log10(1 + x); and by how much that has grown since the
frame before.

    python -m benchmarks.music.beatnet OUT FOLDER ...

writes what the mean of the three says of all audio under the folders to OUT/GROUP__STEM.npz: `activations` float16
[T, 2] (beat, downbeat, each without the other), `fps`, and `path`. GROUP is the folder right below FOLDER.
"""

import argparse
import logging
import os
import time
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from api.settings import read_settings
from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.checkpoints.published import download_wheel
from encoders.errors import EncoderError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from indexer.scan import scan

SAMPLE_RATE, FRAME_LENGTH, HOP_LENGTH = 22_050, 1411, 441
FPS = SAMPLE_RATE / HOP_LENGTH
WHEEL, SHA256 = "BeatNet==1.1.3", "1ecfa17bdcbe899975a88bdb6efebd6970d846a4f3b6cfd5c6f320647c641c7e"
MODELS = (1, 2, 3)
_BANDS_AN_OCTAVE, _LOWEST_HZ, _HIGHEST_HZ, _TUNING_HZ = 24, 30.0, 17_000.0, 440.0
_BLOCK = 4096
_KERNEL, _POOL, _NARROW, _HIDDEN, _LAYERS = 10, 2, 150, 150, 2
_LIMITS = MediaLimits(max_duration_s=2 * 3600.0)

logger = logging.getLogger(__name__)


@cache
def filterbank() -> NDArray[np.float32]:
    """Triangles over the bins of a frame's spectrum, float32 [705, 136]."""
    n_bins = FRAME_LENGTH // 2
    # An odd frame has a little more than twice as many samples as bins: the weights were trained with bins that are
    # taken for those of the even frame.
    bin_hz = np.arange(n_bins) * SAMPLE_RATE / (2 * n_bins)
    steps = np.arange(
        np.floor(np.log2(_LOWEST_HZ / _TUNING_HZ) * _BANDS_AN_OCTAVE),
        np.ceil(np.log2(_HIGHEST_HZ / _TUNING_HZ) * _BANDS_AN_OCTAVE),
    )
    centres_hz = _TUNING_HZ * 2.0 ** (steps / _BANDS_AN_OCTAVE)
    centres_hz = centres_hz[(centres_hz >= _LOWEST_HZ) & (centres_hz <= _HIGHEST_HZ)]
    above = np.clip(bin_hz.searchsorted(centres_hz), 1, n_bins - 1)
    nearer_below = centres_hz - bin_hz[above - 1] < bin_hz[above] - centres_hz
    centres = np.unique(above - nearer_below)
    bank = np.zeros((n_bins, len(centres) - 2), dtype=np.float32)
    for band, (start, centre, stop) in enumerate(zip(centres[:-2], centres[1:-1], centres[2:], strict=True)):
        if stop - start < 2:
            centre, stop = start, start + 1
        triangle = np.concatenate(
            [
                np.linspace(0, 1, centre - start, endpoint=False),
                np.linspace(1, 0, stop - centre, endpoint=False),
            ]
        ).astype(np.float32)
        bank[start:stop, band] = triangle / triangle.sum()
    return bank


def features(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log spectrogram and its growth, float32 [T, 272], of a waveform float32 [samples] at 22,050 Hz."""
    count = -(-len(waveform) // HOP_LENGTH)
    padded = np.pad(waveform, (FRAME_LENGTH // 2, FRAME_LENGTH))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_LENGTH)[::HOP_LENGTH][:count]
    window, bank = np.hanning(FRAME_LENGTH).astype(np.float32), filterbank()
    logs = np.empty((count, bank.shape[1]), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK] * window, axis=1)[:, : len(bank)]
        logs[start : start + _BLOCK] = np.log10(np.abs(spectrum) @ bank + 1)
    growth = np.maximum(np.diff(logs, axis=0, prepend=logs[:1]), 0)
    return np.hstack([logs, growth])


class BeatNet(nn.Module):
    """The network of one of the three files; submodules are named as there."""

    def __init__(self) -> None:
        super().__init__()
        width = 2 * filterbank().shape[1]
        self.conv1 = nn.Conv1d(1, 2, _KERNEL)
        self.linear0 = nn.Linear(2 * ((width - _KERNEL + 1) // _POOL), _NARROW)
        self.lstm = nn.LSTM(_NARROW, _HIDDEN, _LAYERS, batch_first=True)
        self.linear = nn.Linear(_HIDDEN, 3)

    def forward(self, frames: Tensor) -> Tensor:
        """Probabilities [T, 3] of beat, downbeat and neither, of features [T, 272]."""
        narrow = torch.cat([self._narrowed(block) for block in frames.split(_BLOCK)])
        return self.linear(self.lstm(narrow[None])[0][0]).softmax(dim=1)

    def _narrowed(self, frames: Tensor) -> Tensor:
        return self.linear0(F.max_pool1d(F.relu(self.conv1(frames[:, None])), _POOL).flatten(1))


@cache
def networks() -> tuple[BeatNet, ...]:
    """The three published networks; their wheel is fetched once, into the folder of weights."""
    folder = read_settings().weights_dir
    wheel = folder / "BeatNet-1.1.3-py3-none-any.whl"
    if not wheel.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as scratch:
            download_wheel(WHEEL, SHA256, Path(scratch)).replace(wheel)
    loaded = []
    with TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        for number in MODELS:
            network = BeatNet().eval()
            weights = archive.extract(f"BeatNet/models/model_{number}_weights.pt", scratch)
            load_into(network, read_checkpoint(Path(weights)))
            loaded.append(network)
    return tuple(loaded)


def activations(waveform: NDArray[np.float32], models: tuple[int, ...] = MODELS) -> NDArray[np.float32]:
    """Mean probabilities of beat and downbeat, float32 [T, 2] at 50 a second, of a waveform at 22,050 Hz."""
    frames = torch.from_numpy(features(waveform))
    with torch.inference_mode():
        said = torch.stack([networks()[number - 1](frames) for number in models])
    return said.mean(dim=0)[:, :2].numpy()


def teach(folder: Path, out: Path) -> None:
    """Write the activations of all audio under a folder; what is there already stays."""
    out.mkdir(parents=True, exist_ok=True)
    heard_s, started = 0.0, time.monotonic()
    for file in scan(folder, key_prefix="", on_error=lambda uri, reason: logger.warning("%s: %s", uri, reason)):
        group, *rest = file.path.relative_to(folder.absolute()).with_suffix("").parts
        target = out / f"{group}__{'_'.join(rest)}.npz"
        if target.exists():
            continue
        try:
            decoded = decode(file.path, sample_rates=[SAMPLE_RATE], limits=_LIMITS)
        except EncoderError as error:
            logger.warning("left out: %s", error)
            continue
        said = activations(decoded.waveforms[SAMPLE_RATE]).astype(np.float16)
        partial = target.with_suffix(".partial")
        with partial.open("wb") as opened:
            np.savez_compressed(opened, activations=said, fps=FPS, path=str(file.path))
        os.replace(partial, target)
        heard_s += decoded.duration_s
        print(
            f"{target.name}  {heard_s / 3600:.2f} h, {heard_s / (time.monotonic() - started):.0f} × real time",
            flush=True,
        )


def main() -> None:
    """Parse the arguments and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for folder in arguments.folder:
        teach(folder, arguments.out)


if __name__ == "__main__":
    main()
