"""Six tracks, indexed once by the command with real weights; clips with a known number of cuts."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from api.cli.main import main
from api.http.app import create_app
from api.settings import Settings
from api.wiring import open_soundalike
from encoders.media.native import NativeAudio
from encoders.media.writing import write_audio
from tests.conftest import new_database, tone
from tests.encoders.media_video.clips import clip, texture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from api.wiring import Soundalike

RATE = 22_050
PICTURES_A_SECOND = 12
KEYS = ("m/chords.wav", "m/clicks120.wav", "m/clicks90.flac", "m/noise.wav", "m/short.wav", "m/slow.wav")


@dataclass(frozen=True)
class Indexed:
    """A catalogue that the command has made."""

    url: str
    home: Path
    folder: Path


def cut_every(seconds: float, length_s: float, *, seed: int = 1, sound: bool = False) -> bytes:
    """A clip of pictures that stand still, and change all at once."""
    shown = [int(n / PICTURES_A_SECOND / seconds) for n in range(round(length_s * PICTURES_A_SECOND))]
    return clip((texture(seed + 100 * shot) for shot in shown), rate=PICTURES_A_SECOND, sound=sound)


def clicks(bpm: float, length_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A short burst of noise on every beat, the first of four the loudest, over a soft tone."""
    samples = 0.1 * tone(220, length_s, sample_rate=RATE)
    burst = np.exp(-np.arange(RATE // 10) / 400) * rng.standard_normal(RATE // 10)
    for beat, at_s in enumerate(np.arange(0, length_s - 0.2, 60 / bpm)):
        first = round(at_s * RATE)
        samples[first : first + len(burst)] += (0.3 if beat % 4 else 0.5) * burst
    return samples.astype(np.float32)


def _tracks(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    chords = [tone(frequency, 2.0, sample_rate=RATE) for frequency in (262, 330, 392, 349, 294, 262) * 2]
    return {
        "chords.wav": 0.5 * np.concatenate(chords),
        "clicks120.wav": clicks(120, 30, rng),
        "clicks90.flac": clicks(90, 30, rng),
        "noise.wav": (0.05 * rng.standard_normal(20 * RATE)).astype(np.float32),
        "short.wav": clicks(100, 12, rng),
        "slow.wav": tone(110, 25, sample_rate=RATE) * np.linspace(0.2, 1, 25 * RATE, dtype=np.float32),
    }


@pytest.fixture(scope="package")
def indexed(server: Engine, weights_dir: Path) -> Iterator[Indexed]:
    """All of them, as the command indexes them."""
    rng = np.random.default_rng(7)
    databases = new_database(server, "soundalike_template")
    with tempfile.TemporaryDirectory(prefix="soundalike-video-") as root:
        made = Indexed(next(databases), Path(root) / "home", Path(root) / "m")
        made.folder.mkdir()
        for name, samples in _tracks(rng).items():
            write_audio(NativeAudio(samples[:, None], RATE, "mono", 16), made.folder / name)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in _environment(made, weights_dir).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(["index", str(made.folder), "--json"])
            assert ended.value.code == 0
        yield made
        next(databases, None)


def _environment(made: Indexed, weights_dir: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": made.url,
        "SOUNDALIKE_HOME": str(made.home),
        "SOUNDALIKE_CACHE": str(weights_dir.parent),
        "SOUNDALIKE_SPACE": "musicnn",
        "COLUMNS": "200",
    }


@pytest.fixture
def environment(indexed: Indexed, weights_dir: Path) -> dict[str, str]:
    """Of `run`: the catalogue of this package in the place of an empty one."""
    return os.environ | _environment(indexed, weights_dir)


@pytest.fixture(scope="package")
def here(indexed: Indexed, weights_dir: Path) -> Iterator[Soundalike]:
    settings = Settings(home=indexed.home, weights_dir=weights_dir, database_url=indexed.url, space="musicnn")
    with open_soundalike(settings) as opened:
        yield opened


@pytest.fixture
def client(here: Soundalike) -> Iterator[FlaskClient]:
    with create_app(here).test_client() as client:
        yield client
