"""How the vocal network is taught: scenes of voices over music, with their truth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.models.vocals import KINDS, VocalNet
from encoders.training.corpus import Waveforms
from encoders.training.loop import Schedule
from encoders.training.rendering import chance
from encoders.training.voices import vocal_activity
from encoders.training.voices.clips import Clip, append_clips, write_clip
from encoders.training.voices.mixes import Activity, Mix, Span
from encoders.training.voices.parts import Beds, Part, Voices, read_voices
from encoders.training.voices.vocal_activity import SCENE_S, hear_scenes, kinds_of, scene

RATE = 16_000
SPEECH, SINGING = (KINDS.index(kind) for kind in ("speech", "singing"))


@pytest.fixture
def voices(tmp_path: Path, utterance: NDArray[np.float32]) -> Voices:
    """A speaker of either of two languages, who sings as well."""
    for language, kind in (("de", "recorded"), ("es", "recorded"), ("de", "sung"), ("es", "sung")):
        path = f"{language}-{kind}.flac"
        write_clip(tmp_path / path, utterance)
        append_clips(tmp_path / "all.tsv", [Clip(path, language, "one", "new", kind, 2.0, "CC0-1.0")])
    return read_voices([tmp_path / "all.tsv"], Part.TRAINING)


@pytest.fixture
def beds(rng: np.random.Generator) -> Beds:
    """Two tracks of noise; the first is shorter than a scene."""
    lengths = (5 * RATE, 30 * RATE)
    samples = torch.from_numpy(rng.integers(-3_000, 3_000, sum(lengths)).astype(np.int16))
    return Beds(Waveforms(samples, np.concatenate([[0], np.cumsum(lengths)]), RATE))


def test_a_bed_is_as_long_as_it_is_asked_for(beds: Beds, rng: np.random.Generator) -> None:
    cuts = [beds.cut(20.0, rng) for _ in range(12)]
    assert {cut.shape for cut in cuts} == {(20 * RATE,)}
    repeated = [np.array_equal(cut[: 5 * RATE], cut[5 * RATE : 10 * RATE]) for cut in cuts]
    assert any(repeated)
    assert not all(repeated)


def test_the_truth_of_a_step_is_what_goes_on_in_it() -> None:
    spans = [
        Span(0.5, 1.0, Activity.SPEECH, "de"),
        Span(0.8, 1.2, Activity.SINGING, "de"),
        Span(1.9, 9.0, Activity.SPEECH, "de"),
    ]
    silence = np.zeros(2 * RATE, np.float32)
    kinds = kinds_of(Mix(silence, silence, spans)).tolist()
    assert kinds == [0] * 5 + [SPEECH] * 3 + [SINGING] * 4 + [0] * 7 + [SPEECH]


def test_scenes_are_of_music_alone_of_speech_and_of_singing(voices: Voices, beds: Beds) -> None:
    found = set()
    for number in range(25):
        made = scene(voices, beds, chance(f"scene {number}", 1))
        kinds = kinds_of(made)
        assert made.waveform.shape == (round(SCENE_S * RATE),)
        assert kinds.shape == (200,)
        assert np.isfinite(made.waveform).all()
        found.add(tuple(sorted(set(kinds.tolist()) - {0})))
    assert found >= {(), (SINGING,), (SPEECH,)}


def test_scenes_are_heard_alike_each_time_and_beside_their_truth(voices: Voices, beds: Beds) -> None:
    torch.manual_seed(1)
    network = VocalNet().eval()
    heard: list[int] = []
    one, same, other = (hear_scenes(network, voices, beds, 2, seed=seed, on_scene=heard.append) for seed in (3, 3, 4))
    assert heard == [1, 2] * 3
    assert one.energies.shape[1:] == (2_000, 80)
    assert one.kinds.shape == (len(one.energies), 200)
    assert torch.equal(one.energies, same.energies)
    assert torch.equal(one.kinds, same.kinds)
    assert not torch.equal(one.energies, other.energies)


def test_head_and_detector_learn_from_scenes(voices: Voices, beds: Beds, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = VocalNet()
    heard = hear_scenes(network, voices, beds, 4, seed=3, on_scene=lambda number: None)
    training = vocal_activity.VocalTraining(network, heard, Schedule(steps=1, batch_size=4), tmp_path)
    loss, parts = training.loss(np.random.default_rng(1), torch.Generator())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(3), abs=0.5)
    assert len(parts["scenes"]) == 4
    gradients = {name: float(parameter.grad.abs().sum()) for name, parameter in network.named_parameters()
                 if parameter.grad is not None}  # fmt: skip
    assert any(value > 0 for name, value in gradients.items() if name.startswith("head"))
    assert any(value > 0 for name, value in gradients.items() if name.startswith("detector"))
