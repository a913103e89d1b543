"""The weights that come with the package: which they are, what they say of themselves, and that they work at once."""

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch

from api.settings import Settings
from api.wiring import LoadedEncoders
from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.errors import MissingWeightsError
from encoders.loading import SHIPPED_WEIGHTS, load_encoder
from encoders.models.embeddings.soundalike import Soundalike
from encoders.registry import REGISTRY, encoder_spec
from tests.conftest import tone

NAMES = ["soundalike", "spectnt", "tagging", "tagging-student", "timbre"]


def test_exactly_these_are_shipped_each_with_its_card() -> None:
    assert sorted(path.stem for path in SHIPPED_WEIGHTS.glob("*.safetensors")) == NAMES
    assert {path.stem for path in SHIPPED_WEIGHTS.glob("*.md")} >= set(NAMES)


def test_together_they_are_small() -> None:
    sizes = [path.stat().st_size for path in SHIPPED_WEIGHTS.glob("*.safetensors")]
    assert 0 < sum(sizes) <= 25 * 10**6


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_in_half_precision_and_finite_and_says_what_it_was_made_of(name: str) -> None:
    path = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["encoder"] == {"timbre": "clmr"}.get(name, name)  # its name when it was trained
    assert len(metadata["corpus_sha256"]) == 64
    assert metadata["held_out"]
    for key, tensor in read_checkpoint(path).items():
        assert tensor.dtype == (torch.int64 if key.endswith("num_batches_tracked") else torch.float16), key
        assert bool(tensor.isfinite().all()), key
        if key.endswith(("running_var", "deviation", "scale")):
            assert bool((tensor > 0).all()), key


@pytest.mark.parametrize("name", NAMES)
def test_a_file_written_again_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    """They are the version of all embeddings that catalogues hold: another writer must not change them."""
    path = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        save_weights(tmp_path / path.name, read_checkpoint(path), file.metadata())
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_a_reader_must_know(name: str) -> None:
    card = (SHIPPED_WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    for word in ("data", "licen", "soundalike train"):
        assert word in card.lower(), word
    assert re.search(r"\b0\.\d{2}", card), "no figure"
    assert encoder_spec(name).license in card


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_encoder_needs_no_download_and_tells_sounds_apart(name: str, tmp_path: Path) -> None:
    assert name in REGISTRY
    encoder = load_encoder(name, weights_dir=tmp_path, device="cpu")
    length = encoder.spec.window_length
    rate = encoder.spec.sample_rate
    sounds = [tone(hz, length / rate, sample_rate=rate)[:length] for hz in (220.0, 221.0, 1_500.0)]
    encoding = encoder.encode(np.stack(sounds))
    assert np.isfinite(encoding.embeddings).all()
    unit = encoding.embeddings / np.linalg.norm(encoding.embeddings, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2]
    assert list(tmp_path.iterdir()) == []
    if encoder.spec.tags:
        assert encoding.tag_scores.std() > 0


def test_the_default_space_is_a_shipped_one(tmp_path: Path) -> None:
    encoder = LoadedEncoders(tmp_path, {})(Settings.space)
    assert encoder.spec.name == "soundalike"
    assert encoder.version.startswith("soundalike-")


def test_the_default_encoder_holds_the_parts_that_are_shipped_alone() -> None:
    joined = Soundalike()
    load_into(joined, read_checkpoint(SHIPPED_WEIGHTS / "soundalike.safetensors"))
    for part, name in ((joined.timbre, "timbre"), (joined.tagging, "tagging-student")):
        alone = read_checkpoint(SHIPPED_WEIGHTS / f"{name}.safetensors")
        state = part.network.state_dict()
        assert all(torch.equal(state[key], tensor.float()) for key, tensor in alone.items() if "num_batches" not in key)


def test_those_that_are_not_ours_are_not_shipped(tmp_path: Path) -> None:
    for name in sorted(set(REGISTRY) - set(NAMES)):
        with pytest.raises(MissingWeightsError, match=f"soundalike weights (fetch|import) {name}"):
            load_encoder(name, weights_dir=tmp_path)
