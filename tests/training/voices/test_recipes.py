"""From made-up voices and music to weights that fit their networks, by the commands themselves.

The networks that are trained further lie where the downloaded ones would, drawn by chance: they are not what is tested.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.media.decoded import MediaLimits
from encoders.models import vocals
from encoders.training.corpus import prepare
from encoders.training.voices.clips import SPOKEN, SUNG, Clip, append_clips, write_clip
from tests.conftest import Run, loaded, tone
from tests.training.conftest import SAMPLE_RATE

JUDGING = "fillets-ng-data-cs"
VOCALS = ("--scenes", "8", "--steps", "2", "--batch-size", "2")


@pytest.fixture
def folder(tmp_path: Path, utterance: NDArray[np.float32], write_wav: Callable[..., Path]) -> Path:
    """Voices in ``voices``, music in ``music``: of each some to learn from, and a source to judge by."""
    said = np.tile(utterance, 2)
    for kind, name in (("recorded", SPOKEN), ("sung", SUNG)):
        for language, source in (("pl", "somebody"), ("ru", "somebody"), ("cs", JUDGING)):
            path = f"{kind}/{language}/{source}__anna/000.flac"
            write_clip(tmp_path / "voices" / path, said)
            clip = Clip(path, language, "anna", source, kind, len(said) / SAMPLE_RATE, "CC0")
            append_clips(tmp_path / "voices" / name, [clip])
    files = [
        (f"{package}/a.wav", write_wav(tmp_path / f"{package}.wav", tone(hz, 10.0)))
        for package, hz in (("some-music", 220.0), ("naev-data", 330.0))
    ]
    assert all(one.reason is None for one in prepare(files, tmp_path / "music", limits=MediaLimits(1, 60)))
    return tmp_path


Train = Callable[..., object]


@pytest.fixture
def train(run: Run, folder: Path) -> Train:
    def call(name: str, *options: str, expect: int = 0) -> object:
        out = folder / f"out/{name}-own.safetensors"
        arguments = (name, folder / "voices", "--music", folder / "music", "--out", out, "--json")
        done = run("train", *arguments, *options, expect=expect, SOUNDALIKE_CACHE=str(folder))
        return done.stderr if expect else loaded(done)

    return call


@pytest.fixture
def detector(folder: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    weights = vocals.Detector().state_dict()
    save_weights(folder / "weights/vocals-released.safetensors", weights, {})
    return weights


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


def test_vocals_end_with_what_is_added_to_the_published_detector(
    train: Train, detector: dict[str, torch.Tensor], folder: Path
) -> None:
    out = folder / "out/vocals-own.safetensors"
    report = train("vocals", *VOCALS)
    assert isinstance(report, dict)
    assert report["weights"] == str(out)
    for figures in (report["before"], report["after"]):
        assert list(figures) == ["AUC", "balanced accuracy"]
        assert all(0 <= figure <= 1 for figure in figures.values())
    own = read_checkpoint(out)
    assert {tensor.dtype for tensor in own.values()} == {torch.float16}
    assert own["detector.events.weight"].any()
    assert own["head.offset"].any()
    published = {f"detector.{name}": tensor for name, tensor in detector.items()}
    added = {name: tensor.float() + published.get(name, 0) for name, tensor in own.items()}
    load_into(vocals.VocalNet(), published | added)
    metadata = metadata_of(out)
    assert (metadata["encoder"], metadata["held_out"]) == ("vocals", f"{JUDGING},naev-data")
    assert len(metadata["corpus_sha256"]) == 64

    before = out.read_bytes()
    assert train("vocals", *VOCALS) == report  # nothing was left to do
    assert out.read_bytes() == before
    assert "of other voices, music or numbers; remove" in str(train("vocals", "--scenes", "9", expect=1))


@pytest.mark.usefixtures("detector")
def test_without_anything_to_judge_by_there_are_no_figures(train: Train, folder: Path) -> None:
    for name in (SPOKEN, SUNG):
        lines = (folder / "voices" / name).read_text().splitlines(keepends=True)
        (folder / "voices" / name).write_text("".join(line for line in lines if JUDGING not in line))
    report = train("vocals", *VOCALS)
    assert isinstance(report, dict)
    assert (report["before"], report["after"]) == ({}, {})


def test_what_is_missing_is_named_before_anything_is_downloaded(train: Train, folder: Path) -> None:
    sung = (folder / "voices" / SUNG).read_text()
    (folder / "voices" / SUNG).unlink()
    assert "nobody sings; `soundalike train sing" in str(train("vocals", expect=1))
    (folder / "voices" / SUNG).write_text(sung)
    spoken = (folder / "voices" / SPOKEN).read_text()
    (folder / "voices" / SPOKEN).write_text(spoken.replace("\tru\t", "\tq1\t"))
    assert "language q1: ISO 639-1 is accepted" in str(train("vocals", expect=1))
    (folder / "voices" / SPOKEN).write_text(spoken.replace("somebody", JUDGING))
    assert "spoken.tsv: no voice to learn from; `soundalike train voices`" in str(train("vocals", expect=1))
    (folder / "voices" / SPOKEN).write_text(spoken)
    manifest = folder / "music/manifest.jsonl"
    manifest.write_text("".join(line for line in manifest.read_text().splitlines(True) if "naev-data" in line))
    assert "music: no music to learn from, all of its packages are kept" in str(train("vocals", expect=1))
    assert not (folder / "weights").exists()
