"""Each augmentation alone against sounds with a known answer, then the chains."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from encoders.training.augmentations import (
    CLMR,
    Augmentation,
    Delay,
    Gain,
    HighOrLowPass,
    Noise,
    PitchShift,
    PolarityInversion,
    Preset,
    Reverb,
    augment,
    filter_band,
    shift_pitch,
)

SAMPLE_RATE = 22_050
LENGTH = 32_768


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On so little sound, threads wait for each other more than they work."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def seeded(seed: int = 20_210_731) -> Generator:
    return torch.Generator().manual_seed(seed)


def change(augmentation: Augmentation, batch: Tensor, *, seed: int = 1, sample_rate: int = SAMPLE_RATE) -> Tensor:
    return augmentation(batch, sample_rate=sample_rate, generator=seeded(seed))


def tones(*frequencies_hz: float) -> Tensor:
    time_s = torch.arange(LENGTH, dtype=torch.float64) / SAMPLE_RATE
    return torch.stack([0.5 * torch.sin(2 * math.pi * hz * time_s) for hz in frequencies_hz]).float()


def white(n_items: int, length: int = LENGTH) -> Tensor:
    return 0.1 * torch.randn(n_items, length, generator=seeded())


def level_db(waveforms: Tensor) -> Tensor:
    """RMS in dB of the middle half: away from what the edges do to a filter."""
    quarter = waveforms.shape[1] // 4
    return 10 * waveforms[:, quarter:-quarter].square().mean(1).log10()


def peak_hz(waveforms: Tensor) -> Tensor:
    """Frequency of the highest peak, to a fraction of a bin by a parabola."""
    quarter = waveforms.shape[1] // 4
    middle = waveforms[:, quarter:-quarter].double()
    power = (torch.fft.rfft(middle * torch.hann_window(middle.shape[1])).abs() + 1e-12).log()
    top = power.argmax(1, keepdim=True)
    below, at, above = (power.gather(1, top + offset) for offset in (-1, 0, 1))
    fraction = (below - above) / (below - 2 * at + above) / 2
    frequency_hz: Tensor = (top + fraction)[:, 0] * SAMPLE_RATE / middle.shape[1]
    return frequency_hz


def test_polarity_inversion_turns_the_sound_upside_down() -> None:
    batch = white(2)
    assert change(PolarityInversion(1.0), batch).equal(-batch)


def test_noise_has_the_ratio_asked_for_and_leaves_silence_silent() -> None:
    batch = torch.cat([tones(440), 0.01 * tones(440), torch.zeros(1, LENGTH)])
    noise = change(Noise(1.0, noise_to_signal=(0.1, 0.1)), batch) - batch
    torch.testing.assert_close(level_db(noise)[:2], level_db(batch)[:2] - 20, atol=0.2, rtol=0)
    assert not noise[2].any()
    assert abs((noise[0] @ noise[1]) / (noise[0].norm() * noise[1].norm())) < 0.03  # each item its own


def test_gain_is_in_db() -> None:
    batch = white(200, 64)
    torch.testing.assert_close(change(Gain(1.0, gain_db=(-6.0, -6.0)), batch), batch * 10 ** (-6 / 20))
    gain_db = 20 * (change(Gain(1.0), batch) / batch).mean(1).log10()
    assert gain_db.min() >= -20.001
    assert gain_db.max() <= -0.999
    assert gain_db.std() > 4  # of a uniform draw: 19 / sqrt(12) = 5.5


@pytest.mark.parametrize("cutoff_hz", [2200.0, 3000.0, 3800.0])
def test_a_low_pass_takes_what_is_above_and_leaves_what_is_below(cutoff_hz: float) -> None:
    batch = tones(cutoff_hz / 4, cutoff_hz / 1.5, cutoff_hz, cutoff_hz * 2**1.5)
    low = torch.zeros(4, 1, dtype=torch.bool)
    loss_db = level_db(batch) - level_db(
        filter_band(batch, torch.full((4, 1), cutoff_hz), low, sample_rate=SAMPLE_RATE)
    )
    assert loss_db[:2].abs().max() < 1
    assert loss_db[2] == pytest.approx(3.01, abs=0.05)
    assert loss_db[3] == pytest.approx(36.1, abs=0.5)  # 10 log10(1 + 2^12)


@pytest.mark.parametrize("cutoff_hz", [200.0, 600.0, 1200.0])
def test_a_high_pass_takes_what_is_below_and_leaves_what_is_above(cutoff_hz: float) -> None:
    batch = tones(cutoff_hz * 4, cutoff_hz * 1.5, cutoff_hz, cutoff_hz / 2**1.5)
    high = torch.ones(4, 1, dtype=torch.bool)
    loss_db = level_db(batch) - level_db(
        filter_band(batch, torch.full((4, 1), cutoff_hz), high, sample_rate=SAMPLE_RATE)
    )
    assert loss_db[:2].abs().max() < 1
    assert loss_db[2] == pytest.approx(3.01, abs=0.05)
    assert loss_db[3] == pytest.approx(36.1, abs=0.5)


def test_a_filter_neither_delays_nor_wraps_around() -> None:
    batch = torch.zeros(2, LENGTH)
    batch[0, 5000] = batch[1, -1] = 1
    cutoff_hz = torch.tensor([[3000.0], [200.0]])
    filtered = filter_band(batch, cutoff_hz, torch.tensor([[False], [True]]), sample_rate=SAMPLE_RATE)
    assert filtered[0].argmax() == 5000
    torch.testing.assert_close(filtered[0, 4900:5000], filtered[0, 5001:5101].flip(0), atol=1e-6, rtol=0)
    assert filtered[1, :1000].abs().max() < 1e-5


def test_half_of_the_filters_are_high_passes_with_the_cutoffs_of_the_paper() -> None:
    batch = torch.zeros(400, 8192)
    batch[:, 4096] = 1
    gain = torch.fft.rfft(change(HighOrLowPass(1.0), batch)).abs()
    frequency_hz = torch.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    is_highpass = gain[:, 1] < gain[:, -1]
    assert abs(is_highpass.sum() - 200) < 4 * 10  # four standard deviations of 400 fair coins
    crossing_hz = frequency_hz[(gain - math.sqrt(0.5)).abs().argmin(1)]
    for cutoff_hz, (low_hz, high_hz) in (
        (crossing_hz[is_highpass], (200, 1200)),
        (crossing_hz[~is_highpass], (2200, 4000)),
    ):
        assert low_hz - 3 < cutoff_hz.min() < low_hz + 100
        assert high_hz - 100 < cutoff_hz.max() < high_hz + 3


def test_a_delayed_impulse_comes_back_once_at_half_the_volume() -> None:
    batch = torch.zeros(100, LENGTH)
    batch[:, 1000] = 1
    delayed = change(Delay(1.0), batch)
    assert (delayed != 0).sum(1).eq(2).all()
    assert delayed[:, 1000].eq(0.5).all()
    delayed[:, 1000] = 0
    peak, position = delayed.max(1)
    assert peak.eq(0.25).all()
    offsets = {ms * SAMPLE_RATE // 1000 for ms in (200, 250, 300, 350, 400, 450)}
    assert set((position - 1000).tolist()) == offsets


@pytest.mark.parametrize("semitones", [-7.0, -4.5, -0.1, 0.0, 3.0, 7.0])
def test_a_shifted_tone_has_the_pitch_asked_for_and_its_level(semitones: float) -> None:
    batch = tones(55, 110, 440, 1234.5, 3000)
    shifted = change(PitchShift(1.0, semitones=(semitones, semitones)), batch)
    torch.testing.assert_close(peak_hz(shifted), peak_hz(batch) * 2 ** (semitones / 12), rtol=1e-3, atol=0)
    torch.testing.assert_close(level_db(shifted), level_db(batch), atol=0.3, rtol=0)


def test_a_shifted_tone_is_still_one_tone() -> None:
    shifted = change(PitchShift(1.0, semitones=(5.0, 5.0)), tones(440, 1500))
    middle = shifted[:, LENGTH // 4 : -LENGTH // 4]
    power = torch.fft.rfft(middle * torch.hann_window(middle.shape[1])).abs().square()
    frequency_hz = torch.fft.rfftfreq(middle.shape[1], 1 / SAMPLE_RATE)
    aside = (frequency_hz - peak_hz(shifted)[:, None]).abs() > 20
    assert (10 * ((power * aside).sum(1) / power.sum(1)).log10()).max() < -30


@pytest.mark.parametrize("ratio", [2 ** (-7 / 12), 2 ** (7 / 12)])
def test_pitch_changes_and_tempo_does_not(ratio: float) -> None:
    onsets = range(2000, LENGTH - 7500, 7500)
    sounds = torch.zeros(LENGTH)
    for onset in onsets:
        sounds[onset : onset + 2500] = 1
    bursts = tones(1000) * sounds
    shifted = shift_pitch(bursts, torch.tensor([[ratio]], dtype=torch.float64), sample_rate=SAMPLE_RATE)[0]
    for onset in onsets:
        heard = (shifted[onset - 2000 : onset + 4500].abs() > 0.1).nonzero()[:, 0] - 2000
        assert abs(heard[0]) < 0.06 * SAMPLE_RATE
        assert abs(heard[-1] - 2500) < 0.06 * SAMPLE_RATE


def test_a_shift_by_nothing_gives_the_sound_back() -> None:
    batch = white(2)
    band = filter_band(batch, torch.full((2, 1), 2000.0), torch.zeros(2, 1, dtype=torch.bool), sample_rate=SAMPLE_RATE)
    unshifted = shift_pitch(band, torch.ones(2, 1, dtype=torch.float64), sample_rate=SAMPLE_RATE)
    torch.testing.assert_close(unshifted, band, atol=1e-6, rtol=0)


def test_what_a_shift_lifts_beyond_half_the_sample_rate_does_not_fold_back() -> None:
    batch = tones(1000, 9000)
    both = batch.sum(0, keepdim=True)
    ratio = torch.full((1, 1), 1.4, dtype=torch.float64)
    shifted = shift_pitch(both, ratio, sample_rate=SAMPLE_RATE)
    torch.testing.assert_close(level_db(shifted), level_db(batch)[:1], atol=0.3, rtol=0)


def test_the_reverb_of_an_impulse_decays_as_asked() -> None:
    batch = torch.zeros(2, LENGTH)
    batch[:, 100] = 1
    rooms = change(Reverb(1.0, decay_s=(0.5, 0.5), wet_db=(-6.0, -6.0)), batch)
    assert rooms[:, :100].abs().max() < 1e-6
    torch.testing.assert_close(rooms[:, 100], torch.ones(2), atol=1e-5, rtol=0)
    tail = rooms[:, 101:]
    torch.testing.assert_close(10 * tail.square().sum(1).log10(), torch.full((2,), -6.0), atol=0.1, rtol=0)
    tenth_of_a_second = SAMPLE_RATE // 10
    early, late = (tail[:, n * tenth_of_a_second : (n + 1) * tenth_of_a_second].square().sum(1) for n in (0, 3))
    torch.testing.assert_close(10 * (early / late).log10(), torch.full((2,), 36.0), atol=1.0, rtol=0)  # 60 dB in .5 s
    assert not tail[0].equal(tail[1])


def test_with_probability_zero_nothing_changes() -> None:
    batch = white(3, 4096)
    none = tuple(replace(augmentation, p=0.0) for augmentation in CLMR)
    assert augment(batch, none, sample_rate=SAMPLE_RATE, generator=seeded()).equal(batch)


def test_each_augmentation_falls_as_often_as_published() -> None:
    kinds = [PolarityInversion, Noise, Gain, HighOrLowPass, Delay, PitchShift, Reverb]
    assert [type(augmentation) for augmentation in CLMR] == kinds
    batch = white(2000, 1024)
    for augmentation, p in zip(CLMR, [0.8, 0.01, 0.3, 0.8, 0.3, 0.6, 0.6], strict=True):
        n_changed = (change(augmentation, batch, sample_rate=8000) != batch).any(1).sum().item()
        assert abs(n_changed - 2000 * p) < 4 * math.sqrt(2000 * p * (1 - p)), augmentation


def test_the_same_seed_gives_the_same_batch_and_another_does_not() -> None:
    batch = white(4)
    original = batch.clone()
    first, again, other = (augment(batch, CLMR, sample_rate=SAMPLE_RATE, generator=seeded(seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert batch.equal(original)


def every_time(preset: Preset) -> Preset:
    return tuple(replace(augmentation, p=1.0) for augmentation in preset)


@pytest.mark.parametrize("preset", [CLMR, every_time(CLMR)])
def test_an_item_does_not_depend_on_what_the_others_contain(preset: Preset) -> None:
    batch = white(6)
    others = torch.cat([tones(50, 10_000), batch[2:3], torch.zeros(1, LENGTH), 100 * tones(440, 3000)])
    first, second = (augment(b, preset, sample_rate=SAMPLE_RATE, generator=seeded(5)) for b in (batch, others))
    assert first[2].equal(second[2])
    assert not first[2].equal(batch[2])


@pytest.mark.parametrize("n_semitones", [-7.0, 7.0])
def test_never_nan_and_never_silent_unless_it_was(n_semitones: float) -> None:
    impulse = torch.zeros(1, LENGTH)
    impulse[0, 7] = 1
    constant = torch.full((1, LENGTH), 0.3)
    hard = torch.cat([tones(20, 440, 10_900), 1e-6 * white(1), impulse, constant])
    silence = torch.zeros(1, LENGTH)
    batch = torch.cat([hard, silence])
    shift = PitchShift(1.0, semitones=(n_semitones, n_semitones))
    chain = tuple(shift if isinstance(each, PitchShift) else each for each in every_time(CLMR))
    for seed in range(4):
        augmented = augment(batch, chain, sample_rate=SAMPLE_RATE, generator=seeded(seed))
        assert augmented.shape == batch.shape
        assert augmented.dtype == torch.float32
        assert augmented.isfinite().all()
        assert (augmented[:-1].abs().amax(1) > 0).all()
        assert not augmented[-1].any()


def test_what_would_be_silenced_stays() -> None:
    batch = tones(10_900, 440) * torch.hann_window(LENGTH)
    raised = change(PitchShift(1.0, semitones=(7.0, 7.0)), batch)
    assert raised[0].equal(batch[0])
    assert not raised[1].equal(batch[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_chain_runs_on_a_gpu() -> None:
    batch = white(8).cuda()
    augmented = [
        augment(batch, every_time(CLMR), sample_rate=SAMPLE_RATE, generator=torch.Generator("cuda").manual_seed(1))
        for _ in range(2)
    ]
    assert augmented[0].device == batch.device
    assert augmented[0].isfinite().all()
    torch.testing.assert_close(augmented[0], augmented[1])
