"""Encoders by name: the registered, those of one's own, and the names that they had before."""

from dataclasses import replace
from pathlib import Path

import pytest

from encoders.checkpoints.files import save_weights
from encoders.checkpoints.sha256 import sha256_file
from encoders.encoder import marked
from encoders.errors import MissingWeightsError, UnknownEncoderError
from encoders.loading import load_encoder
from encoders.registry import REGISTRY, encoder_names, encoder_spec
from encoders.spec import EncoderSpec
from tests.encoders.test_encoder import NAME, TINY, Tiny

NOT_A_SPEC = 3


def tiny_factory() -> EncoderSpec:
    return replace(TINY, reference="made by a function")


def not_a_factory() -> int:
    return 3


def another_kind(name: str) -> EncoderSpec:
    return replace(TINY, name=name)


def test_every_registered_name_leads_to_a_spec_of_that_name() -> None:
    assert encoder_names() == tuple(sorted(REGISTRY))
    assert {"timbre", "musicnn", "tagging"} <= set(encoder_names())
    for name in encoder_names():
        spec = encoder_spec(name)
        assert spec.name == name
        assert spec.window_s == spec.window_length / spec.sample_rate
        assert spec.reference
        assert spec.license


def test_an_unknown_name_lists_the_known_and_the_close_ones() -> None:
    with pytest.raises(UnknownEncoderError, match=r"'musicn'; did you mean musicnn") as error:
        encoder_spec("musicn")
    assert error.value.known == encoder_names()


@pytest.mark.parametrize("name", ["", "nothing", "no.such.module:SPEC", f"{__name__}:GONE", f"{__name__}:NOT_A_SPEC"])
def test_names_that_lead_nowhere(name: str) -> None:
    with pytest.raises(UnknownEncoderError, match="known: clmr"):
        encoder_spec(name)


def test_encoders_of_ones_own_are_known_beside_the_registered(tmp_path: Path) -> None:
    also = {"mine": NAME, "made": f"{__name__}:tiny_factory", "timbre": NAME}
    assert set(encoder_names(also)) == {*REGISTRY, "mine", "made"}
    assert list(encoder_names(also)) == sorted(encoder_names(also))
    assert encoder_spec("mine", also) == replace(TINY, name="mine")
    assert encoder_spec("made", also) == replace(TINY, name="made", reference="made by a function")
    assert encoder_spec("timbre", also).dim == 5  # one's own goes first
    assert encoder_spec("musicnn", also) is encoder_spec("musicnn")
    save_weights(tmp_path / "mine.safetensors", Tiny().state_dict(), {})
    encoder = load_encoder("mine", weights_dir=tmp_path, also=also)
    assert encoder.version == marked(f"mine-{sha256_file(tmp_path / 'mine.safetensors')[:12]}")
    with pytest.raises(MissingWeightsError, match="soundalike weights import made FILE"):
        load_encoder("made", weights_dir=tmp_path, also=also)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("no.such.module:SPEC", "No module named 'no'"),
        (f"{__name__}:GONE", "has no attribute 'GONE'"),
        (f"{__name__}:NOT_A_SPEC", "NOT_A_SPEC is int, not EncoderSpec"),
        (f"{__name__}:not_a_factory", "not_a_factory makes int, not EncoderSpec"),
        (f"{__name__}:another_kind", r"another_kind\(\) missing 1 required positional argument: 'name'"),
    ],
)
def test_an_encoder_of_ones_own_that_leads_nowhere(where: str, reason: str) -> None:
    told = rf"encoder 'mine' of yours cannot be used: .*{reason} \(SOUNDALIKE_ENCODERS\)"
    with pytest.raises(UnknownEncoderError, match=told):
        encoder_spec("mine", {"mine": where})


def test_a_name_that_an_encoder_had_leads_to_it_and_is_not_listed() -> None:
    assert encoder_spec("clmr") is encoder_spec("timbre")
    assert "clmr" not in encoder_names()
    assert encoder_spec("clmr", {"clmr": NAME}).dim == 5  # one's own goes first
