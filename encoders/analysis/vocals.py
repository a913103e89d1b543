"""Where somebody sings or speaks in a track, and for how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.acceleration import keep_freed_memory, one_core_each
from encoders.analysis.smoothing import most_likely, runs
from encoders.analysis.vocal_spans import Vocals, VocalSpan
from encoders.analysis.waveforms import check_waveform
from encoders.media.loudness import gain_of
from encoders.models.vocals import KINDS, SAMPLE_RATE, STEP_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.models.vocals import VocalNet

_BLOCK_S, _CONTEXT_S = 45.0, 3.0
_MEAN_STAY_S = (6.0, 3.0, 3.0)
"""How long nobody, a speaker or a singer goes on: pauses between words belong to what is sung or said."""
_SURE, _LIKELY, _ENOUGH = 0.85, 0.7, 0.1
"""Mean probability of a span that counts anywhere, and of one that counts where such are this share of the track: some
instruments are like a voice here and there, and a singer is heard well in some places if in others not."""


class VocalDetector:
    """A :class:`~encoders.models.vocals.VocalNet` at work; safe to share between threads."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: VocalNet, *, version: str, device: torch.device) -> None:
        self.version = f"{version}-1"  # how spans are told is part of it
        self._network = network.eval().to(device)
        self._device = device
        if device.type == "cpu":
            keep_freed_memory()

    def detect(self, waveform: NDArray[np.float32]) -> Vocals:
        """Find the voices in a track, float32 [samples] at 16 kHz.

        Raises
        ------
        ShapeError
            If it is not mono, or empty.
        NonFiniteError
            If it holds NaN or infinity.
        """
        check_waveform(waveform)
        log_probabilities = self.steps(waveform)
        kinds = settled(log_probabilities)
        probabilities = np.exp(log_probabilities)
        duration_s = len(waveform) / SAMPLE_RATE
        spans = tuple(
            VocalSpan(
                round(start * STEP_S, 1),
                min(round(end * STEP_S, 1), duration_s),
                KINDS[kind],
                float(probabilities[start:end, kind].mean()),
            )
            for start, end, kind in runs(kinds)
            if kind
        )
        speech = float((kinds == KINDS.index("speech")).mean())
        confidence = float(probabilities[np.arange(len(kinds)), kinds].mean())
        return Vocals(spans, float((kinds > 0).mean()), speech, confidence)

    def steps(self, waveform: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-probabilities float64 [steps of 0.1 s, 3], as :data:`~encoders.models.vocals.KINDS`."""
        return one_core_each().submit(self._steps, waveform).result()

    def _steps(self, waveform: NDArray[np.float32]) -> NDArray[np.float64]:
        gain = gain_of(waveform, SAMPLE_RATE)
        block, context = (round(seconds / STEP_S) for seconds in (_BLOCK_S, _CONTEXT_S))
        step = round(STEP_S * SAMPLE_RATE)
        parts = []
        # Block by block, with some of what is around: what a block needs then stays in a core's cache.
        with torch.inference_mode():
            for start in range(0, max(1, round(len(waveform) / step)), block):
                first = max(0, start - context)
                piece = waveform[first * step : (start + block + context) * step]
                heard = self._network(torch.from_numpy(piece * gain).to(self._device))
                parts.append(heard[start - first : start - first + block].cpu())
        return torch.cat(parts).double().numpy()


def settled(log_probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Kinds int64 [steps] that log-probabilities [steps, 3] amount to.

    Voices and pauses go on for a while, and a voice that is not sure is none, unless others in the track are.
    """
    kinds = most_likely(log_probabilities, _transitions())
    voiced = 1 - np.exp(log_probabilities[:, 0])
    spans = [
        (start, end, float(voiced[start:end].mean())) for start, end, kind in runs((kinds > 0).astype(np.int64)) if kind
    ]
    sure = sum(end - start for start, end, mean in spans if mean >= _SURE)
    least = _LIKELY if sure >= _ENOUGH * len(kinds) else _SURE
    for start, end, mean in spans:
        if mean < least:
            kinds[start:end] = 0
    return kinds


def _transitions() -> NDArray[np.float64]:
    """Log-probabilities [3, 3] of going on and of changing, a step."""
    leave = STEP_S / np.array(_MEAN_STAY_S)
    transitions = np.repeat(leave[:, None] / (len(KINDS) - 1), len(KINDS), axis=1)
    np.fill_diagonal(transitions, 1 - leave)
    return np.log(transitions)
