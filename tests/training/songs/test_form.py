"""What the structure network is taught: what is true of each step, songs made others, and what is supposed of music."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.analysis.findings import SECTION_LABELS, Rhythm
from encoders.analysis.form.segmentation import Curves
from encoders.models.music.structure import N_FEATURES, STEP_S, StructureNet, features_of
from encoders.training.songs.form import FormSettings, FormTraining, contrast
from encoders.training.songs.forms import UNKNOWN, Song, example, song_of
from encoders.training.songs.supposed import agreement, peaks, supposed

PHRASES = [(6.0, 18.0, "i"), (18.0, 36.0, "A"), (36.0, 54.0, "B"), (54.0, 72.0, "A"), (72.0, 90.0, "B")]


def song(seconds: float = 96.0) -> Song:
    features = np.random.default_rng(0).standard_normal((N_FEATURES, round(5 * seconds))).astype(np.float16)
    made = song_of("a song", PHRASES, features)
    assert made is not None
    return made


def test_each_step_has_what_is_true_of_it() -> None:
    true = example(song(), np.random.default_rng(0), changed=False)
    names = [SECTION_LABELS[number] if number != UNKNOWN else "" for number in true.functions.tolist()]
    assert (
        names
        == [""] * 10 + ["intro"] * 20 + ["verse"] * 30 + ["chorus"] * 30 + ["verse"] * 30 + ["chorus"] * 30 + [""] * 10
    )
    peaks_at = [step for step in range(160) if true.boundaries[step, 0] > 0.8]
    assert peaks_at == [29, 30, 59, 60, 89, 90, 119, 120]
    assert bool(true.boundaries[:10].isnan().all())
    assert true.letters[40] == true.letters[100] != true.letters[70]


def test_a_changed_song_keeps_letters_and_functions_together() -> None:
    for seed in range(30):
        true = example(song(), np.random.default_rng(seed), changed=True)
        assert true.features.shape == (N_FEATURES, 3 * len(true.functions))
        assert bool(true.features.isfinite().all())
        sung = {(letter, number) for letter, number in zip(true.letters.tolist(), true.functions.tolist(), strict=True)}
        sung -= {(UNKNOWN, UNKNOWN), (UNKNOWN, SECTION_LABELS.index("silence"))}
        assert len({letter for letter, _ in sung}) == len(sung)  # one function a letter


def test_nothing_is_said_of_boundaries_that_are_doubtful() -> None:
    true = example(replace(song(), functions=["intro", "", "chorus", "verse", "chorus"], doubtful=(180,)),
                   np.random.default_rng(0), changed=False)  # fmt: skip
    assert bool(true.boundaries[58:63].isnan().all())
    assert true.boundaries[89, 0] > 0.8
    assert (true.functions[30:60] == UNKNOWN).all()


def test_contrast_is_least_where_equal_letters_lie_together() -> None:
    letters = torch.tensor([1] * 40 + [2] * 40 + [3] * 40)
    apart = torch.eye(3)[letters - 1]
    losses = [
        float(contrast(embeddings, letters, letters, torch.Generator().manual_seed(0)))
        for embeddings in (apart, torch.eye(3)[torch.arange(120) % 3])
    ]
    assert losses[0] < losses[1]
    related = torch.ones_like(letters)  # nothing else is asked of them: only equal ones are compared
    alone = contrast(apart, letters, related, torch.Generator().manual_seed(0))
    assert alone < losses[0] + 1e-6


def test_peaks_stand_out_and_apart() -> None:
    curve = np.full(100, 0.1)
    curve[[20, 24, 60]] = 0.9, 0.8, 0.7
    assert peaks(curve, STEP_S).tolist() == pytest.approx([20.5 * STEP_S, 60.5 * STEP_S])
    assert len(peaks(np.full(100, 0.5), STEP_S)) == 0


def test_agreement_by_hand() -> None:
    assert agreement(np.array([10.0, 40.0]), np.array([12.0, 60.0, 41.0])) == pytest.approx(2 * 1 * (2 / 3) / (5 / 3))
    assert agreement(np.zeros(0), np.array([1.0])) == 0.0


def test_only_that_is_supposed_which_both_systems_find() -> None:
    blocks = np.repeat([0, 1, 2, 1, 2], 40)
    near = np.abs((np.arange(200) + 0.5)[:, None] - np.array([40, 80, 120, 160])).min(axis=1)
    functions = np.full((200, len(SECTION_LABELS)), 0.02)
    functions[np.arange(200), np.array([0, 1, 2])[blocks]] = 0.88
    parts = np.clip(0.9 * np.exp(-0.5 * near**2), 0.01, None)
    features, nothing = np.zeros((N_FEATURES, 600), np.float16), np.zeros(0)
    rhythm = Rhythm(None, nothing, nothing.astype(np.int64), None, 0.0)
    heard = Curves(parts, parts, functions, np.eye(3)[blocks], STEP_S)
    found = supposed("music", features, heard, rhythm)
    assert found is not None
    assert [letter for *_, letter in found.phrases] == ["A", "B", "C", "B", "C"]
    assert list(found.functions or ()) == ["intro", "verse", "chorus", "verse", "chorus"]
    elsewhere = np.roll(parts, 20)
    assert supposed("music", features, replace(heard, parts=elsewhere), rhythm) is None


def test_features_are_of_whole_steps() -> None:
    assert features_of(torch.zeros(84, 1000), torch.zeros(252, 500)).shape == (N_FEATURES, 99)
    assert features_of(torch.zeros(84, 2), torch.zeros(252, 1)).shape == (N_FEATURES, 3)
    logits, embeddings = StructureNet().eval()(torch.zeros(1, N_FEATURES, 30))
    assert logits.shape == (1, 10, 2 + len(SECTION_LABELS))
    assert embeddings.shape[:2] == (1, 10)


def test_a_training_can_be_gone_on_with(tmp_path: Path) -> None:
    losses: list[float] = []
    settings = FormSettings(steps=3, batch_size=1, warmup_steps=1)
    training = FormTraining([song()], settings, tmp_path, device=torch.device("cpu"))
    training.run(on_step=lambda _, loss: losses.append(loss))
    again = FormTraining([song()], settings, tmp_path, device=torch.device("cpu"))
    assert again.resume()
    assert again.step == 3
    assert np.isfinite(losses).all()
