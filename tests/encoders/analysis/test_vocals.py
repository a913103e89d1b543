"""Voices in a track: blocks put together, spans and shares of what the network says."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.analysis.vocals import VocalDetector
from encoders.errors import NonFiniteError, ShapeError
from encoders.media.loudness import normalised
from encoders.models.vocals import KINDS, SAMPLE_RATE, VocalNet
from tests.conftest import tone
from tests.encoders.models.test_vocals import untrained

__all__ = ["untrained"]  # a fixture

Waveform = NDArray[np.float32]
PITCHES_HZ = (0, 300, 1200)


class Pitched(VocalNet):
    """Hears a low tone as speech and a high one as singing, in each tenth of a second by itself."""

    def forward(self, waveform: Tensor) -> Tensor:
        steps = max(1, round(len(waveform) / 1600))
        padded = torch.nn.functional.pad(waveform, (0, max(0, 1600 * steps - len(waveform))))
        power = torch.fft.rfft(padded[: 1600 * steps].view(steps, 1600)).abs().square()
        share = torch.stack([power[:, hz // 10 - 2 : hz // 10 + 3].sum(dim=1) for hz in PITCHES_HZ[1:]], dim=1)
        heard = share / power.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return (0.98 * torch.cat([1 - heard.sum(dim=1, keepdim=True), heard], dim=1) + 0.02 / 3).clamp(min=1e-9).log()


@pytest.fixture
def pitched() -> VocalDetector:
    return VocalDetector(Pitched(), version="pitched", device=torch.device("cpu"))


def sound(*parts: tuple[str, float]) -> Waveform:
    """Silence, speech and singing, each for so many seconds."""
    pieces = []
    for kind, seconds in parts:
        times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        pieces.append(0.2 * np.sin(2 * np.pi * PITCHES_HZ[KINDS.index(kind)] * times))
    return np.concatenate(pieces).astype(np.float32)


def test_spans_and_shares_are_those_that_are_there(pitched: VocalDetector) -> None:
    vocals = pitched.detect(sound(("none", 5), ("speech", 10), ("none", 5), ("singing", 25), ("none", 5)))
    assert [(span.kind, span.start_s, span.end_s) for span in vocals.spans] == [
        ("speech", 5.0, 15.0),
        ("singing", 20.0, 45.0),
    ]
    assert (vocals.vocal_ratio, vocals.speech_ratio) == (pytest.approx(0.7), pytest.approx(0.2))
    assert min(vocals.confidence, *(span.confidence for span in vocals.spans)) > 0.9


def test_a_pause_between_words_belongs_to_them(pitched: VocalDetector) -> None:
    (span,) = pitched.detect(sound(("singing", 5), ("none", 0.1), ("singing", 5))).spans
    assert (span.start_s, span.end_s) == (0.0, 10.1)
    assert len(pitched.detect(sound(("singing", 5), ("none", 5), ("singing", 5))).spans) == 2


def test_blocks_put_together_are_the_whole(untrained: VocalNet, rng: np.random.Generator) -> None:
    """Over three of their borders; what a block hears of its neighbours is enough."""
    detector = VocalDetector(untrained, version="untrained", device=torch.device("cpu"))
    waveform = (tone(220, 70.07) * np.abs(np.sin(np.arange(70.07 * SAMPLE_RATE) / 3_000))).astype(np.float32)
    waveform += rng.normal(0, 0.01, len(waveform)).astype(np.float32)
    with torch.no_grad():
        untrained.head.layers[-1].weight.mul_(60)  # or all answers would be nearly alike
    with torch.inference_mode():
        whole = untrained(torch.from_numpy(normalised(waveform, SAMPLE_RATE))).numpy()
    steps = detector.steps(waveform)
    assert steps.shape == whole.shape == (701, 3)
    assert np.exp(whole).std(axis=0).max() > 0.02
    np.testing.assert_allclose(np.exp(steps), np.exp(whole), atol=0.03)


@pytest.mark.parametrize("seconds", [0.01, 0.04, 0.05, 0.1, 0.16, 19.96, 20.0, 20.04, 20.06, 43.21])
def test_no_span_leaves_a_track_of_any_length(pitched: VocalDetector, seconds: float) -> None:
    waveform = sound(("singing", seconds))
    vocals = pitched.detect(waveform)
    assert 0 <= vocals.speech_ratio <= vocals.vocal_ratio <= 1
    assert all(0 <= span.start_s < span.end_s <= len(waveform) / SAMPLE_RATE for span in vocals.spans)
    assert len(pitched.steps(waveform)) == max(1, round(len(waveform) / 1600))
    if seconds > 1:
        assert vocals.vocal_ratio == 1


@pytest.mark.parametrize(
    "waveform", [np.zeros(160, np.float32), np.zeros(30 * SAMPLE_RATE, np.float32), tone(440, 25.0), tone(440, 0.01)]
)
def test_silence_tones_and_ten_milliseconds_get_an_answer(untrained: VocalNet, waveform: Waveform) -> None:
    vocals = VocalDetector(untrained, version="untrained", device=torch.device("cpu")).detect(waveform)
    said = json.loads(json.dumps(asdict(vocals), allow_nan=False))
    assert said == {**asdict(vocals), "spans": [asdict(span) for span in vocals.spans]}
    assert 0 < vocals.confidence <= 1


def test_a_level_changes_nothing(untrained: VocalNet) -> None:
    detector = VocalDetector(untrained, version="untrained", device=torch.device("cpu"))
    loud, quiet = (detector.steps(tone(330, 3.0) * np.float32(level)) for level in (1, 0.01))
    np.testing.assert_allclose(np.exp(loud), np.exp(quiet), atol=0.02)


@pytest.mark.parametrize("shape", [(0,), (2, 100), ()])
def test_what_is_no_mono_waveform_is_refused(pitched: VocalDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"a mono waveform has shape \[samples\]"):
        pitched.detect(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_waveform_that_is_not_finite_is_refused(pitched: VocalDetector, value: float) -> None:
    waveform = sound(("singing", 3))
    waveform[1000] = value
    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        pitched.detect(waveform)
