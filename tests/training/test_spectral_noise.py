"""Changes of spectrograms: seeded, item by item, within their shares, and off when they are zero."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from encoders.training.spectral_noise import SpectralNoise, mixed

NOTHING = SpectralNoise(gain_db=0, equaliser_db=0, lowpass_p=0, band_share=0, frame_share=0)
EVERYTHING = SpectralNoise(gain_db=3, equaliser_db=2, lowpass_p=0.5, band_share=0.2, frame_share=0.2)
ITEMS, BINS, FRAMES = 1_500, 20, 30


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def decibels(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(-30, 10, (ITEMS, BINS, FRAMES)).astype(np.float32))


def test_one_seed_is_one_change(decibels: Tensor) -> None:
    once, again, other = (EVERYTHING(decibels, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == decibels.shape


def test_an_item_does_not_depend_on_the_others(decibels: Tensor) -> None:
    others = decibels.clone()
    others[1:] = -70
    assert torch.equal(EVERYTHING(decibels, seeded())[0], EVERYTHING(others, seeded())[0])
    changes = EVERYTHING(torch.full_like(decibels, -30), seeded())
    assert not torch.equal(changes[0], changes[1])


def test_zero_switches_everything_off(decibels: Tensor) -> None:
    for seed in range(5):
        assert torch.equal(NOTHING(decibels, seeded(seed)), decibels)


def test_a_gain_moves_all_alike(decibels: Tensor) -> None:
    change = SpectralNoise(gain_db=3, equaliser_db=0, lowpass_p=0, band_share=0)(decibels, seeded()) - decibels
    each = change.flatten(1)
    torch.testing.assert_close(each, each[:, :1].expand_as(each), atol=1e-4, rtol=0)
    assert float(each[:, 0].std()) == pytest.approx(3, rel=0.1)


def test_an_equaliser_is_the_same_in_every_frame(decibels: Tensor) -> None:
    change = SpectralNoise(equaliser_db=2, lowpass_p=0, band_share=0)(decibels, seeded()) - decibels
    torch.testing.assert_close(change, change[:, :, :1].expand_as(change), atol=1e-4, rtol=0)
    assert float(change[:, 0].std()) == pytest.approx(2, rel=0.1)
    assert not torch.allclose(change[:, 0], change[:, -1], atol=0.1)


def runs(changed: Tensor) -> Tensor:
    """How many stretches of true there are in every row."""
    return torch.diff(changed.int(), dim=1, prepend=torch.zeros(len(changed), 1, dtype=torch.int)).clamp(min=0).sum(1)


@pytest.mark.parametrize("axis", ["band", "frame"])
def test_what_is_missing_is_one_stretch_within_its_share(decibels: Tensor, axis: str) -> None:
    band, frame = (0.25, 0.0) if axis == "band" else (0.0, 0.2)
    noise = SpectralNoise(equaliser_db=0, lowpass_p=0, band_share=band, frame_share=frame)
    result = noise(decibels, seeded())
    changed = (result != decibels).any(dim=2 if axis == "band" else 1)
    sizes = changed.sum(dim=1)
    longest = 5 if axis == "band" else 6
    assert set(sizes.tolist()) == set(range(longest + 1))
    assert torch.equal(runs(changed), (sizes > 0).int())
    assert changed.any(dim=0).all()  # every place is hit by some item
    missing = result[result != decibels]
    assert missing.min() > -40  # the mean of an item, not silence
    assert missing.max() < -20


def test_a_lowpass_takes_from_the_upper_half_as_often_as_said(decibels: Tensor) -> None:
    result = SpectralNoise(equaliser_db=0, lowpass_p=0.3, band_share=0)(decibels, seeded())
    silent = (result == -100).all(dim=2)
    assert torch.equal(result[~silent], decibels[~silent])
    assert not silent[:, : BINS // 2].any()
    assert torch.equal(silent.any(dim=1), silent[:, -1])  # up to the top
    assert bool((runs(silent) <= 1).all())
    assert float(silent.any(dim=1).float().mean()) == pytest.approx(0.3, abs=0.04)


def test_sounds_add_by_hand() -> None:
    """Equal powers are 10 log10(2) = 3.01 dB more than one; a tenth of the power adds 10 log10(1.1) = 0.41 dB."""
    sound = torch.full((2, 3, 4), -20.0)
    both = mixed(sound, sound, torch.tensor([0.0, -10.0])[:, None, None])
    torch.testing.assert_close(both[0], torch.full((3, 4), -16.9897))
    torch.testing.assert_close(both[1], torch.full((3, 4), -19.5861))


def test_silence_adds_nothing(decibels: Tensor) -> None:
    silence = torch.full_like(decibels, -300)
    zero = torch.zeros(ITEMS, 1, 1)
    torch.testing.assert_close(mixed(decibels, silence, zero), decibels, atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed(silence, decibels, zero), decibels, atol=1e-4, rtol=0)
