"""A file with tags, and a second space."""

from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch

from encoders.encoder import Encoder
from tests.conftest import BANDS, Bands


@pytest.fixture
def flac(music: Path) -> Path:
    source = music / "low" / "tone00.wav"
    path = music / "low" / "song.flac"
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        stream = written.add_stream("flac", rate=16_000, layout="mono", format="s16")
        for frame in read.decode(audio=0):
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    return path


@pytest.fixture
def other_bands() -> Encoder:
    spec = replace(BANDS, name="other")
    return Encoder(spec, Bands(), version="other-1", device=torch.device("cpu"))
