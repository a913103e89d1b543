"""What the networks of beats and keys are given to learn from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.models.music.key import KeyNet
from encoders.training.songs import key, rhythm
from encoders.training.songs.key import KeyExample, KeySettings, KeyTraining, spread
from encoders.training.songs.rhythm import RhythmSettings, RhythmTraining, example, excerpt


def clicks(n_frames: int = 1200, every: int = 25) -> rhythm.BeatExample:
    """Bright frames at the beats, the more so where bars of four begin."""
    onset, pitch = np.full((84, n_frames), -1, np.float16), np.full((252, n_frames // 2), -1, np.float16)
    beats = np.arange(10, n_frames - 10, every)
    onset[40:, beats], onset[:20, beats[::4]] = 1, 1
    return example(onset, pitch, beats / 50, np.arange(len(beats)) % 4 + 1)


@pytest.mark.parametrize("seed", range(12))
def test_beats_move_with_the_spectrum(seed: int) -> None:
    onset, semitones, target = excerpt(clicks(), 400, np.random.default_rng(seed))
    assert onset.shape == (84, 400)
    assert semitones.shape == (84, 200)
    assert target.shape == (2, 400)
    told = np.flatnonzero(target[0] == 1)
    loud = onset[[70, 75, 80]].max(axis=0)
    if loud.max() > loud.min():  # bands may be left out
        bright = np.flatnonzero(loud > loud.min() + 0.4)
        assert max(np.abs(bright - frame).min() for frame in told) <= 1
    assert set(np.flatnonzero(target[1] == 1)) <= set(told)


def test_a_network_learns_the_clicks_that_it_hears(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = RhythmSettings(steps=12, batch_size=2, frames=400, warmup_steps=2)
    training = RhythmTraining(settings, tmp_path, songs=[clicks()], device=torch.device("cpu"))
    losses: list[float] = []
    training.run(on_step=lambda step, loss: losses.append(loss))
    assert losses[-1] < 0.6 * losses[0]


def test_neighbours_of_a_key_are_less_wrong() -> None:
    expected = spread(9)  # A major
    assert expected.sum() == pytest.approx(1)
    assert expected.argmax() == 9
    assert expected[4] == expected[2] > 0  # E and D
    assert expected[12 + 6] > expected[12 + 9] > 0  # F# minor, A minor
    assert spread(12 + 6)[9] > 0  # and back


def test_a_key_is_learnt_and_its_transposition_with_it(tmp_path: Path) -> None:
    scale = [0, 2, 4, 5, 7, 9, 11]
    songs = []
    for mode, triad in enumerate(([0, 4, 7], [9, 0, 4])):
        pitch = np.full((252, 60), -1, np.float16)
        for octave in range(2, 5):
            for note in scale:
                pitch[3 * (12 * octave + note) + 1] = 0.9 if note in triad else 0.1
        songs.append(KeyExample(pitch, 0 if mode == 0 else 12 + 9))
    torch.manual_seed(0)
    training = KeyTraining(
        KeySettings(steps=40, batch_size=4, frames=40, warmup_steps=4),
        tmp_path,
        songs=songs,
        device=torch.device("cpu"),
    )
    training.run(on_step=lambda step, loss: None)
    network = training.network.eval()
    assert isinstance(network, KeyNet)
    with torch.inference_mode():
        for one, moved in ((songs[0], 5), (songs[1], 12 + (9 + 5) % 12)):
            pitch = torch.from_numpy(np.roll(one.pitch, 3 * 5, axis=0).astype(np.float32))
            assert int(network(pitch[None])[0].argmax()) == moved


def test_an_excerpt_of_a_short_track_has_the_length_that_was_asked_for(rng: np.random.Generator) -> None:
    assert key.excerpt(np.zeros((252, 7), np.float16), 40, rng).shape == (252, 40)
