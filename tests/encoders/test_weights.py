"""The weights that come with the package: which they are, what they say of themselves, and that they work at once."""

import hashlib
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch

from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.errors import MissingWeightsError, WeightsError
from encoders.loading import fetch_weights, has_weights, load_encoder
from encoders.models.embeddings.soundalike import Soundalike
from encoders.registry import DEFAULTS, LISTENERS, REGISTRY, encoder_spec, network_spec
from encoders.spec import SHIPPED_WEIGHTS
from tests.conftest import BANDS, tone

NAMES = ["melcnn", "soundalike", "spectnt", "tagging", "tagging-student", "timbre", "video"]
SHIPPED_LISTENERS = ("key", "melody", "rhythm", "structure", "video-words")
ENCODERS = {"ear-own": "ear", "vocals-own": "vocals", **{name: name for name in (*NAMES, *SHIPPED_LISTENERS)}}
"""File → the network that it is of: alone, or beside what is fetched."""


def test_exactly_these_are_shipped_each_with_its_card() -> None:
    assert sorted(path.stem for path in SHIPPED_WEIGHTS.glob("*.safetensors")) == sorted(ENCODERS)
    assert {path.stem for path in SHIPPED_WEIGHTS.glob("*.md")} >= set(ENCODERS)


def test_together_they_are_small() -> None:
    sizes = [path.stat().st_size for path in SHIPPED_WEIGHTS.glob("*.safetensors")]
    assert 0 < sum(sizes) <= 25 * 10**6


@pytest.mark.parametrize("name", ENCODERS)
def test_a_file_is_in_half_precision_and_finite_and_says_what_it_was_made_of(name: str) -> None:
    path = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["encoder"] == {"timbre": "clmr"}.get(name, ENCODERS[name])  # its name when it was trained
    assert len(metadata["corpus_sha256"]) == 64
    # One is judged by packages left out, then fitted to all; the other learnt from nothing.
    assert bool(metadata["held_out"]) == (name not in {"ear-own", "video-words"})
    for key, tensor in read_checkpoint(path).items():
        assert tensor.dtype == (torch.int64 if key.endswith("num_batches_tracked") else torch.float16), key
        assert bool(tensor.isfinite().all()), key
        if key.endswith(("running_var", "deviation", "scale")):
            assert bool((tensor > 0).all()), key


@pytest.mark.parametrize("name", ENCODERS)
def test_a_file_written_again_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    """They are the version of all embeddings that catalogues hold: another writer must not change them."""
    path = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        save_weights(tmp_path / path.name, read_checkpoint(path), file.metadata())
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ENCODERS)
def test_a_card_says_what_a_reader_must_know(name: str) -> None:
    card = (SHIPPED_WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    for word in ("data", "licen", "soundalike train"):
        assert word in card.lower(), word
    assert re.search(r"\b0\.\d{2}", card), "no figure"
    assert network_spec(ENCODERS[name]).license in card


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


def test_the_oldest_default_is_a_shipped_one_and_the_others_can_be_fetched(tmp_path: Path) -> None:
    *newer, oldest = DEFAULTS
    assert load_encoder(oldest, weights_dir=tmp_path).version.startswith(f"{oldest}-")
    for spec in map(network_spec, [*newer, *(LISTENERS.keys() - set(SHIPPED_LISTENERS))]):
        assert spec.fetch is not None
        assert spec.package is not None
        assert spec.sha256 is not None


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def halved(path: Path, error: BaseException) -> None:
    path.write_bytes(b"half of")
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), WeightsError("no")])
def test_a_fetch_that_fails_leaves_what_was_there(error: BaseException, tmp_path: Path) -> None:
    spec = replace(BANDS, sha256="0" * 64, fetch=partial(halved, error=error))
    folder = tmp_path / "weights"
    with pytest.raises(type(error) if isinstance(error, KeyboardInterrupt) else WeightsError):
        fetch_weights(spec, folder)
    assert list(folder.iterdir()) == []
    spec.weights_in(folder).write_bytes(b"former ones")
    with pytest.raises(type(error) if isinstance(error, KeyboardInterrupt) else WeightsError):
        fetch_weights(spec, folder)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"former ones"]


def test_what_is_fetched_must_be_what_the_spec_pins(tmp_path: Path) -> None:
    content = b"the weights"
    spec = replace(BANDS, sha256=hashlib.sha256(content).hexdigest(), fetch=partial(written, content=b"other"))
    with pytest.raises(WeightsError, match=f"expected {spec.sha256}"):
        fetch_weights(spec, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not has_weights(spec, tmp_path)
    right = replace(spec, fetch=partial(written, content=content))
    assert fetch_weights(right, tmp_path).read_bytes() == content
    assert has_weights(right, tmp_path)
    assert fetch_weights(spec, tmp_path).read_bytes() == content  # it is here: nothing is fetched
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="the weights of bands cannot be fetched"):
        fetch_weights(right, tmp_path / "file")
    with pytest.raises(WeightsError, match="import a checkpoint"):
        fetch_weights(BANDS, tmp_path)


def test_the_default_encoder_holds_the_parts_that_are_shipped_alone() -> None:
    joined = Soundalike()
    load_into(joined, read_checkpoint(SHIPPED_WEIGHTS / "soundalike.safetensors"))
    for part, name in ((joined.timbre, "timbre"), (joined.tagging, "tagging-student")):
        alone = read_checkpoint(SHIPPED_WEIGHTS / f"{name}.safetensors")
        state = part.network.state_dict()
        assert all(torch.equal(state[key], tensor.float()) for key, tensor in alone.items() if "num_batches" not in key)


def test_the_default_is_what_is_shipped_and_what_is_fetched(weights_dir: Path, tmp_path: Path) -> None:
    spec = encoder_spec("ear")
    path = fetch_weights(spec, tmp_path)
    fetched, own = read_checkpoint(path), read_checkpoint(SHIPPED_WEIGHTS / "ear-own.safetensors")
    published = read_checkpoint(weights_dir / "musicnn.safetensors")
    assert fetched.keys() == own.keys() | {f"musicnn.{key}" for key in published}
    assert all(torch.equal(fetched[key], tensor) for key, tensor in own.items())
    assert all(torch.equal(fetched[f"musicnn.{key}"], tensor) for key, tensor in published.items())
    with safetensors.safe_open(path, "pt") as file:
        assert "Permission to use" in file.metadata()["license"]
    sounds = np.stack([tone(hz, 10.0, sample_rate=22_050) for hz in (220.0, 221.0, 1_500.0)])
    encoding = load_encoder("ear", weights_dir=tmp_path, device="cpu").encode(sounds)
    near, far = (encoding.embeddings[0] @ encoding.embeddings[other] for other in (1, 2))
    assert near > far


def test_those_that_are_not_ours_are_not_shipped(tmp_path: Path) -> None:
    for name in sorted(set(REGISTRY) - set(NAMES)):
        with pytest.raises(MissingWeightsError, match=f"soundalike weights (fetch|import) {name}"):
            load_encoder(name, weights_dir=tmp_path)
