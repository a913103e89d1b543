"""The form of a track: its sections, and the highlights and loops that follow from them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.acceleration import keep_freed_memory, one_core_each
from encoders.analysis.findings import Form
from encoders.analysis.form.features import HOP_S, SILENCE_DB, sound_of
from encoders.analysis.form.highlights import highlights
from encoders.analysis.form.loops import loops
from encoders.analysis.form.segmentation import Curves, sections_of
from encoders.analysis.waveforms import check_waveform
from encoders.models.music.spectra import ONSET_RATE, PITCH_RATE, SAMPLE_RATE
from encoders.models.music.structure import LONGEST_STEPS, STEP_S, features_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from encoders.analysis.findings import Rhythm
    from encoders.models.music.spectra import Listener, Spectra
    from encoders.models.music.structure import StructureNet

_CONTEXT_STEPS = 100
"""What is longer than the network takes is heard in pieces, and a minute around each."""
_SHORTEST_SILENCE_S = 1.5
_BELOW_LOUDEST_DB = 65.0


class FormAnalyser:
    """A :class:`~encoders.models.music.structure.StructureNet` at work; safe to share between threads."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: StructureNet, listener: Listener, *, version: str, device: torch.device) -> None:
        self.version = f"{version}-1"  # how sections are told is part of it
        self._network = network.eval().to(device)
        self._listener = listener
        self._device = device
        if device.type == "cpu":
            keep_freed_memory()

    def analyse(self, waveform: NDArray[np.float32], rhythm: Rhythm) -> Form:
        """Find sections, highlights and loops of a track, float32 [samples] at 22,050 Hz.

        Raises
        ------
        ShapeError
            If it is not mono, or empty.
        NonFiniteError
            If it holds NaN or infinity.
        """
        check_waveform(waveform)
        return one_core_each().submit(self._analyse, waveform, rhythm).result()

    def _analyse(self, waveform: NDArray[np.float32], rhythm: Rhythm) -> Form:
        sound = sound_of(waveform)
        curves = self.curves(self._listener(waveform))
        sections = sections_of(curves, rhythm, len(waveform) / SAMPLE_RATE, silences(sound.loudness_db))
        return Form(sections, highlights(sound, rhythm, sections), loops(waveform, sound, rhythm))

    def curves(self, spectra: Spectra) -> Curves:
        """What the network says of each step of a track."""
        n_steps = max(1, int(spectra.pitch.shape[1] / (PITCH_RATE * STEP_S)))
        piece = n_steps if n_steps <= LONGEST_STEPS else LONGEST_STEPS - 2 * _CONTEXT_STEPS
        pieces = []
        for start in range(0, n_steps, piece):
            first, end = max(0, start - _CONTEXT_STEPS), min(n_steps, start + piece + _CONTEXT_STEPS)
            onset, pitch = (
                spectrum[:, round(first * STEP_S * rate) : round(end * STEP_S * rate)]
                for spectrum, rate in ((spectra.onset, ONSET_RATE), (spectra.pitch, PITCH_RATE))
            )
            heard = curves_of(self._network, features_of(onset, pitch).to(self._device))
            kept = slice(start - first, start - first + piece)
            pieces.append([each[kept] for each in (heard.parts, heard.phrases, heard.functions, heard.embeddings)])
        parts, phrases, functions, embeddings = (np.concatenate(each) for each in zip(*pieces, strict=True))
        return Curves(parts, phrases, functions, embeddings, STEP_S)


def curves_of(network: nn.Module, features: Tensor) -> Curves:
    """What a network in evaluation mode says of features, float32 [168, 3 T]."""
    with torch.inference_mode():
        logits, embeddings = (each[0].cpu() for each in network(features[None]))
    parts, phrases = logits[:, :2].sigmoid().double().numpy().T
    functions = logits[:, 2:].softmax(dim=1).double().numpy()
    return Curves(parts, phrases, functions, embeddings.double().numpy(), STEP_S)


def silences(loudness_db: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Stretches, in seconds, of what is far softer than the track is at its loudest, or not to be heard at all.

    Parameters
    ----------
    loudness_db : float32 [frames], ten a second, as :class:`encoders.analysis.form.features.Sound` has it
    """
    if not len(loudness_db):
        return []
    silent = loudness_db < max(SILENCE_DB, float(loudness_db.max()) - _BELOW_LOUDEST_DB)
    found, frame = [], 0
    for is_silent, run in groupby(silent.tolist()):
        length = len(list(run))
        start, end = frame, frame + length
        frame = end
        if is_silent and length * HOP_S >= _SHORTEST_SILENCE_S:
            # To the end of the track, if that is where the last frame is.
            found.append((start * HOP_S, end * HOP_S if end < len(silent) else (end + 1) * HOP_S))
    return found
