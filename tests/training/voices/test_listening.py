"""How the networks that listen are taught: scenes and windows with their truth, and changes that can be taken out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.checkpoints.files import load_into
from encoders.models.language.codes import CODES, INDEX
from encoders.models.language.whisper import Whisper, adapted
from encoders.models.vocals import KINDS, VocalNet
from encoders.training.corpus import Waveforms
from encoders.training.loop import Schedule
from encoders.training.rendering import chance
from encoders.training.voices import spoken_language, vocal_activity
from encoders.training.voices.clips import Clip, append_clip, write_clip
from encoders.training.voices.mixes import Activity, Mix, Span
from encoders.training.voices.parts import Beds, Part, Voices, read_voices
from encoders.training.voices.spoken_language import NOBODY, LowRank, adapt, adaptable, changes, hear_windows
from encoders.training.voices.vocal_activity import SCENE_S, hear_scenes, kinds_of, scene

RATE = 16_000
SPEECH, SINGING = (KINDS.index(kind) for kind in ("speech", "singing"))


@pytest.fixture
def voices(tmp_path: Path, utterance: NDArray[np.float32]) -> Voices:
    """A speaker of either of two languages, who sings as well."""
    for language, kind in (("de", "recorded"), ("es", "recorded"), ("de", "sung"), ("es", "sung")):
        path = f"{language}-{kind}.flac"
        write_clip(tmp_path / path, utterance)
        append_clip(tmp_path / "all.tsv", Clip(path, language, "one", "new", kind, 2.0, "CC0-1.0"))
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


def test_windows_are_of_a_language_or_of_nobody(voices: Voices, beds: Beds) -> None:
    languages = set()
    for number in range(40):
        waveform, language = spoken_language.window(voices, beds, chance(f"window {number}", 1))
        assert waveform.shape == (6 * RATE,)
        assert waveform.dtype == np.float32
        assert np.isfinite(waveform).all()
        languages.add(language)
    assert languages == {INDEX["de"], INDEX["es"], NOBODY}
    assert len(CODES) == NOBODY


@pytest.fixture
def network() -> Whisper:
    torch.manual_seed(2)
    made = Whisper().eval()
    with torch.no_grad():
        made.languages.normal_()
        made.start.normal_()
    return made


def test_windows_are_kept_as_they_are_heard_below_what_is_adapted(network: Whisper, voices: Voices, beds: Beds) -> None:
    made = hear_windows(network, voices, beds, 2, seed=1, on_window=lambda number: None)
    assert made.states.shape == (2, 300, 512)
    waveform, language = spoken_language.window(voices, beds, chance("window 1", 1))
    with torch.inference_mode():
        said = network(torch.from_numpy(waveform)[None])[0]
        again = network.understand(made.states[1:].float())[0]
    assert int(made.languages[1]) == language
    torch.testing.assert_close(made.before[1], said, atol=0.1, rtol=0.1)
    torch.testing.assert_close(again, said, atol=0.1, rtol=0.1)


def test_only_the_upper_layers_are_adapted_and_at_first_by_nothing(network: Whisper) -> None:
    states = torch.randn(1, 20, 512)
    with torch.inference_mode():
        before = network.understand(states)
    names = [name for name, _ in adaptable(network)]
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder"}
    assert {name.split(".")[1] for name in names if name.startswith("encoder")} == {"4", "5"}
    assert len(names) == 2 * 4 + 6 * 7
    adapt(network)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert all(name.endswith((".inner", ".outer")) for name in learning)
    assert len(learning) == 2 * len(names)
    with torch.inference_mode():
        torch.testing.assert_close(network.understand(states), before)


def test_what_was_learnt_goes_into_the_published_weights(network: Whisper) -> None:
    published = {key: tensor.half() for key, tensor in network.state_dict().items()}
    load_into(network, published)
    adapt(network)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LowRank):
                module.outer.normal_(0, 0.02)
    plain = Whisper().eval()
    load_into(plain, adapted(published, {key: tensor.half() for key, tensor in changes(network).items()}))
    former = Whisper().eval()
    load_into(former, published)
    states = torch.randn(1, 20, 512)
    with torch.inference_mode():
        learnt, rebuilt, before = (one.understand(states) for one in (network, plain, former))
    assert float((learnt - before).abs().max()) > 0.5
    torch.testing.assert_close(rebuilt.exp(), learnt.exp(), atol=0.03, rtol=0.1)


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
