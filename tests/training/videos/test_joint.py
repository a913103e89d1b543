"""Both towers: what they take and give, what their loss leaves alone, and that they learn what goes together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.analysis.pictures import Seen, inputs_of
from encoders.models.embeddings.video import N_MEASURED, SAMPLE_RATE, WINDOW_LENGTH, VideoSpace, measured, pulse_of
from encoders.models.video.tower import DIM, N_CURVES, N_TEMPI, VideoTower, batched
from encoders.training.videos.joint import VideoSettings, VideoTraining, info_nce, part_of, ranks
from encoders.training.videos.watched import Pair, parted, windows_of
from tests.conftest import tone

RATE = 12.5


def seen_of(
    duration_s: float, rng: np.random.Generator, *, motion: float = 0.1, cuts_s: tuple[float, ...] = ()
) -> Seen:
    seconds, steps = int(np.ceil(duration_s)), int(np.ceil(duration_s * RATE))
    curves = np.clip(np.stack([motion * rng.random(steps), *rng.random((3, steps))]), 0, 1).astype(np.float32)
    classes = rng.dirichlet(np.ones(1000), seconds).astype(np.float16)
    features = rng.random((seconds, 1280)).astype(np.float16)
    return Seen(0.0, duration_s, features, classes, curves, RATE, np.array(cuts_s), False, True)


def pair_of(source: str, level: float, rng: np.random.Generator) -> Pair:
    """What is louder and busier moves more."""
    starts_s = np.array([0.0, 5.0, 10.0])
    heard = rng.standard_normal((3, 256)).astype(np.float32)
    values = (level + 0.1 * rng.standard_normal((3, N_MEASURED))).astype(np.float32)
    seen = seen_of(20.0, rng, motion=float(np.exp(level - 2)))
    return Pair(source, f"{source}/0.mp4", seen, heard, values, starts_s)


def test_a_clip_is_embedded_alike_alone_and_beside_a_longer_one(rng: np.random.Generator) -> None:
    tower = VideoTower().eval()
    short, long = inputs_of(seen_of(7.4, rng)), inputs_of(seen_of(31.0, rng, cuts_s=(3.0, 9.5)))
    with torch.inference_mode():
        alone, together = tower(*batched([short])), tower(*batched([short, long]))
    assert together.shape == (2, DIM)
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    np.testing.assert_allclose(together.norm(dim=1), 1, atol=1e-5)


def test_a_picture_and_a_second_are_clips_too(rng: np.random.Generator) -> None:
    features, classes = (np.full((1, n), 0.1, np.float16) for n in (1280, 1000))
    curves = np.full((4, 1), 0.5, np.float32)
    still = Seen(0, 0.0, features, classes, curves, RATE, np.empty(0), True, False)
    for seen in (still, seen_of(1.0, rng), seen_of(0.3, rng)):
        shown, moving, pulse = inputs_of(seen)
        assert (shown.shape[1], moving.shape[1], len(pulse)) == (1280, N_CURVES, N_TEMPI)
        assert all(bool(part.isfinite().all()) for part in (shown, moving, pulse))
    assert still.between(0, 5).duration_s <= 5


def test_what_was_seen_is_kept_and_cut(rng: np.random.Generator) -> None:
    seen = seen_of(20.0, rng, cuts_s=(2.0, 7.5, 15.0))
    again = Seen.unpacked(seen.packed())
    np.testing.assert_array_equal(again.features, seen.features)
    np.testing.assert_allclose(again.curves, seen.curves, atol=1e-3)
    assert (again.cuts_s.tolist(), again.duration_s, again.is_still, again.has_sound) == (
        [2.0, 7.5, 15.0],
        20.0,
        False,
        True,
    )
    part = again.between(4.0, 12.0)
    assert (part.from_s, part.duration_s, part.cuts_s.tolist(), len(part.features)) == (4.0, 8.0, [3.5], 8)
    np.testing.assert_allclose(part.events[1:-1], again.events[101:299], atol=1e-3)
    assert part.cuts.argmax() / 25 == pytest.approx(3.5, abs=0.021)
    halfway = again.between(4.04, 12.0)
    np.testing.assert_allclose(halfway.curves[0, :9], (again.curves[0, 50:59] + again.curves[0, 51:60]) / 2, atol=1e-3)


@pytest.mark.parametrize("bpm", [60, 90, 150])
def test_pulse_is_strongest_at_the_tempo(bpm: int) -> None:
    times_s = np.arange(0, 20, 0.04)
    curve = np.exp(-(((times_s + 0.2) % (60 / bpm) - 0.2) ** 2) / 2 / 0.05**2).astype(np.float32)
    pulse = pulse_of(torch.from_numpy(curve)[None], 25.0)[0]
    tempi = 40 * 6 ** np.linspace(0, 1, N_TEMPI)
    at = np.abs(np.log2(tempi / bpm)).argmin()
    assert pulse[at] > 0.5
    assert pulse[at] > pulse[np.abs(np.log2(tempi / (1.4 * bpm))).argmin()] + 0.5
    assert len(pulse_of(torch.zeros(1, 3), 25.0)[0]) == N_TEMPI  # shorter than any lag


def test_what_is_measured_hears_clicks_and_level() -> None:
    space = VideoSpace().eval()
    quiet, loud = (torch.from_numpy(level * tone(220, 10, sample_rate=SAMPLE_RATE))[None] for level in (0.05, 0.5))
    noise = torch.randn(1, WINDOW_LENGTH) * 0.1
    steady, louder, busy = (measured(space.melcnn.features(sound), 22_050 / 353)[0] for sound in (quiet, loud, noise))
    level, flux = 24, 28
    assert louder[level] > steady[level] + 3
    assert busy[flux] > 2 * steady[flux]
    embedding, tags = space(torch.cat([quiet, loud]))
    assert (embedding.shape, tags.shape) == ((2, DIM), (2, 0))
    np.testing.assert_allclose(embedding.detach().norm(dim=1), 1, atol=1e-5)


def test_others_of_a_source_are_no_negatives() -> None:
    pictures = torch.eye(4)
    music = torch.tensor([[0.0, 1, 0, 0], [1.0, 0, 0, 0], [0.0, 0, 1, 0], [0.0, 0, 0, 1]])  # the first two are swapped
    apart, together = (
        info_nce(pictures, music, torch.tensor(of), torch.tensor(3.0)) for of in ([0, 1, 2, 3], [0, 0, 1, 2])
    )
    # Without the other of its source the first clip has no negative of that weight: e^0 of e^0 + 2.
    assert together == pytest.approx((2 * np.log(3) + 2 * np.log(1 + 3 * np.exp(-np.exp(3)))) / 4, abs=1e-5)
    assert apart > together + 5


def test_windows_cover_a_sound_to_its_end() -> None:
    windows, starts_s = windows_of(tone(220, 23.0, sample_rate=SAMPLE_RATE))
    np.testing.assert_allclose(starts_s, [0, 5, 10, 13], atol=1e-3)
    assert windows.shape == (4, WINDOW_LENGTH)
    assert windows_of(tone(220, 6.0, sample_rate=SAMPLE_RATE))[0].shape == (1, WINDOW_LENGTH)


def test_a_part_has_the_windows_that_lie_in_it(rng: np.random.Generator) -> None:
    pair = pair_of("a", 0.0, rng)
    part = part_of(pair, 9.0, 20.0)
    np.testing.assert_array_equal(part.heard, pair.heard[[1, 2]])  # of 5–15 and 10–20 s
    assert len(part.seen[0]) == 11
    np.testing.assert_array_equal(part_of(pair, 0.0, 3.0).heard, pair.heard[[0]])


def test_sources_are_parted_whole_and_always_alike(rng: np.random.Generator) -> None:
    pairs = [pair_of(f"s{number % 20}", 0.0, rng) for number in range(40)]
    learnt, judged = parted(pairs, 0.3)
    assert {pair.source for pair in learnt}.isdisjoint({pair.source for pair in judged})
    assert 0 < len(judged) < len(learnt)
    assert [pair.source for pair in parted(pairs, 0.3)[1]] == [pair.source for pair in judged]


def test_what_goes_together_is_learnt(rng: np.random.Generator, tmp_path: Path) -> None:
    pairs = [pair_of(f"s{number}", float(level), rng) for number, level in enumerate(np.linspace(-2, 2, 60))]
    unseen = [pair_of(f"u{number}", float(level), rng) for number, level in enumerate(np.linspace(-2, 2, 20))]
    settings = VideoSettings(steps=40, batch_size=48, warmup_steps=5, crops=1)
    training = VideoTraining(settings, tmp_path, space=VideoSpace(), pairs=pairs, device=torch.device("cpu"))
    untrained = ranks(training.learnt, unseen)
    training.run(on_step=lambda step, loss: None)
    assert np.median(untrained) > 6
    assert np.median(ranks(training.learnt, unseen)) <= 4.5
