"""Melodies by others. None was made to pick the leading voice out of a mix: they are what there is.

- pYIN (Mauch and Dixon, ICASSP 2014) as librosa has it: one voice
- Swift-F0 (Nieradzik, 2025): one voice, learnt
- Basic Pitch (Bittner et al., ICASSP 2022): all notes at once; here the strongest contour of each frame at or above its
  authors' threshold, from middle C's octave below up
"""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from api.settings import read_settings
from benchmarks.music.songs import Contour, Music
from benchmarks.music.systems.system import SAMPLE_RATE, System
from encoders.checkpoints.published import download_wheel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from swift_f0 import SwiftF0

BASIC_PITCH = "basic-pitch==0.4.0"
_SHA256 = "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"
_WINDOW, _HOP, _OVERLAP_FRAMES = 2 * SAMPLE_RATE - 256, 256, 30
_LOWEST_MIDI, _BINS_A_SEMITONE, _THRESHOLD = 21, 3, 0.3
_LOWEST_LEAD, _HIGHEST_LEAD = 48, 96  # MIDI numbers


def systems() -> list[System]:
    """All of them.

    Raises
    ------
    ModuleNotFoundError
        If the extra `music-peers` is not installed.
    """
    told, asked = frozenset({"melody"}), "+2"  # how they are asked is part of what they are
    return [
        System("pYIN", version("librosa") + asked, told, _pyin),
        System("Swift-F0", version("swift-f0") + asked, told, _swift),
        System("Basic Pitch", BASIC_PITCH + asked, told, _basic_pitch),
    ]


def _pyin(waveform: NDArray[np.float32]) -> Music:
    import librosa

    hop = 512
    hertz, voiced, _ = librosa.pyin(
        waveform, sr=SAMPLE_RATE, hop_length=hop, fmin=_hz(_LOWEST_LEAD), fmax=_hz(_HIGHEST_LEAD), fill_na=None
    )
    return Music(melody=Contour.of(hop / SAMPLE_RATE, 69 + 12 * np.log2(hertz / 440), voiced))


def _swift(waveform: NDArray[np.float32]) -> Music:
    from swift_f0 import FRAME_PERIOD

    found = _swift_network().detect(waveform, SAMPLE_RATE)
    # Its first frame is about some time after 0: before that there is no melody.
    before = np.full(round(found.timestamps[0] / FRAME_PERIOD), np.nan)
    midi = np.concatenate([before, 69 + 12 * np.log2(np.maximum(found.pitch_hz, 1) / 440)])
    voiced = np.concatenate([np.zeros(len(before), np.bool_), found.confidence >= 0.5])
    return Music(melody=Contour.of(FRAME_PERIOD, midi, voiced))


@cache
def _swift_network() -> SwiftF0:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1)


def _basic_pitch(waveform: NDArray[np.float32]) -> Music:
    session = _basic_pitch_network()
    keep = (_WINDOW // _HOP + 1) - _OVERLAP_FRAMES
    margin = _OVERLAP_FRAMES // 2
    step = _WINDOW - _OVERLAP_FRAMES * _HOP
    padded = np.pad(waveform, (margin * _HOP, _WINDOW))
    contours = []
    for start in range(0, len(waveform), step):
        window = padded[start : start + _WINDOW][None, :, None]
        # Notes, onsets and contours; the last are the ones with three bins a semitone.
        said = session.run(None, {session.get_inputs()[0].name: window})
        contour = next(values for values in said if values.shape[2] == _BINS_A_SEMITONE * 88)[0]
        contours.append(contour[margin : margin + keep])
    salience = np.concatenate(contours)[: len(waveform) // _HOP]
    low, high = (_BINS_A_SEMITONE * (midi - _LOWEST_MIDI) for midi in (_LOWEST_LEAD, _HIGHEST_LEAD))
    lead = salience[:, low:high]
    midi = _LOWEST_LEAD + lead.argmax(axis=1) / _BINS_A_SEMITONE
    return Music(melody=Contour.of(step / keep / SAMPLE_RATE, midi, lead.max(axis=1) >= _THRESHOLD))


@cache
def _basic_pitch_network() -> InferenceSession:
    import onnxruntime

    with TemporaryDirectory() as scratch:
        wheel = read_settings().weights_dir / "basic_pitch-0.4.0-py2.py3-none-any.whl"
        if not wheel.is_file():
            wheel.parent.mkdir(parents=True, exist_ok=True)
            download_wheel(BASIC_PITCH, _SHA256, Path(scratch)).replace(wheel)
        with zipfile.ZipFile(wheel) as archive:
            network = archive.read("basic_pitch/saved_models/icassp_2022/nmp.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _hz(midi: float) -> float:
    return float(440 * 2 ** ((midi - 69) / 12))
