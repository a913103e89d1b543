"""Real PostgreSQL (a fresh database for every test), real weights, and audio with a known sound."""

import gc
import itertools
import json
import os
import shutil
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from torch import Tensor, nn

from api.cli.main import main
from api.settings import Settings, read_settings
from api.wiring import Soundalike, open_soundalike
from encoders.encoder import Encoder
from encoders.loading import fetch_weights
from encoders.models.embeddings.musicnn import MTT_SPEC
from encoders.models.embeddings.musicnn import SPEC as MUSICNN
from encoders.registry import LISTENERS, network_spec
from encoders.spec import EncoderSpec
from retrieval.catalog.database import connected, migrate
from retrieval.index import kernels  # as a server has them: without them cosines differ in their last digit

assert kernels
pytest_plugins = ["tests.long_lived"]
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
BANDS_RATE = 16_000
BANDS_WINDOW = 16_000


def in_memory() -> Path | None:
    """A file system in memory, if there is one with room: every test has a database of its own, made and dropped."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None


def pytest_configure(config: pytest.Config) -> None:
    """Give tests folders in memory, and workers a share of the cores."""
    if (memory := in_memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // workers)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # of programs that a test starts
        torch.set_num_threads(threads)


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, and not over and over among all that is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_210_731)


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The user's own cache of weights, filled once by the package index."""
    directory = read_settings(os.environ).weights_dir
    for spec in (MUSICNN, MTT_SPEC, *map(network_spec, LISTENERS)):
        if spec.fetch is not None:  # others are shipped
            fetch_weights(spec, directory)
    return directory


@pytest.fixture(scope="session")
def server() -> Iterator[Engine]:
    """A PostgreSQL of the tests' own, with a migrated database to copy."""
    url = os.environ.get("SOUNDALIKE_TEST_DATABASE_URL")
    # Not under pytest's own folder: a second run of the tests closes that one to the server's user.
    with (
        tempfile.TemporaryDirectory(prefix="soundalike-", dir=in_memory()) as folder,
        connected(url, embedded_dir=Path(folder) / "postgres") as engine,
    ):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("DROP DATABASE IF EXISTS soundalike_template"))
            connection.execute(text("CREATE DATABASE soundalike_template"))
        template = create_engine(engine.url.set(database="soundalike_template"))
        migrate(template)
        template.dispose()
        yield engine


_numbers = itertools.count(1)


@pytest.fixture
def empty_database_url(server: Engine) -> Iterator[str]:
    """A database without a schema."""
    yield from new_database(server, "template0")


@pytest.fixture
def database_url(server: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database: an empty one, or for a test that asks for `indexed_tones` a copy of that of the tones."""
    filled = "indexed_tones" in request.fixturenames
    yield from new_database(server, request.getfixturevalue("tones").database if filled else "soundalike_template")


def new_database(server: Engine, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(make_url(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def settings(database_url: str, tmp_path: Path, weights_dir: Path) -> Settings:
    """In a space whose windows are as short as the tones."""
    return Settings(home=tmp_path / "home", weights_dir=weights_dir, database_url=database_url, space="musicnn")


@pytest.fixture
def soundalike(settings: Settings) -> Iterator[Soundalike]:
    with open_soundalike(settings) as opened:
        yield opened


class Bands(nn.Module):
    """Loudness in 32 frequency bands: enough to tell tones apart, and quick."""

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        power = torch.fft.rfft(waveform).abs()[:, 1:8001].reshape(len(waveform), 32, -1).mean(2)
        return torch.log1p(power), torch.stack([power[:, 0] - 1, 1 - power[:, 0]], dim=1)


BANDS = EncoderSpec(
    name="bands",
    sample_rate=BANDS_RATE,
    window_length=BANDS_WINDOW,
    dim=32,
    build=Bands,
    convert=dict,
    reference="of the tests",
    license="Apache-2.0",
    tags=("low", "high"),
)


@pytest.fixture
def bands() -> Encoder:
    return Encoder(BANDS, Bands(), version="bands-1", device=torch.device("cpu"))


def tone(frequency_hz: float, duration_s: float, *, sample_rate: int = 16_000) -> NDArray[np.float32]:
    """A tone with two overtones, float32 [samples]."""
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    overtones = sum(np.sin(2 * np.pi * n * frequency_hz * time_s) / n for n in (1, 2, 3))
    return (0.3 * overtones).astype(np.float32)


def _write_wav(path: Path, waveform: NDArray[np.float32], *, sample_rate: int = 16_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((waveform.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def write_tones(folder: Path) -> Path:
    """Twelve tones, an octave and a half apart at most, in two subfolders."""
    for number in range(12):
        sub = "low" if number < 6 else "high"
        _write_wav(folder / sub / f"tone{number:02}.wav", tone(110 * 2 ** (number / 3), 3.0 + number / 10))
    return folder


@pytest.fixture
def write_wav() -> Callable[..., Path]:
    """Write a mono waveform as 16-bit WAV."""
    return _write_wav


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder of twelve tones: see `write_tones`."""
    return write_tones(tmp_path / "music")


@pytest.fixture
def environment(database_url: str, tmp_path: Path, weights_dir: Path) -> dict[str, str]:
    return os.environ | _environment(database_url, tmp_path / "home", weights_dir)


def _environment(database_url: str, home: Path, weights_dir: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SOUNDALIKE_HOME": str(home),
        "SOUNDALIKE_CACHE": str(weights_dir.parent),
        "SOUNDALIKE_SPACE": "musicnn",
        "COLUMNS": "200",
    }


@dataclass(frozen=True)
class Tones:
    """Twelve tones as ``soundalike index`` leaves them: the database, the home and the music, for tests to copy."""

    database: str
    home: Path
    music: Path


@pytest.fixture(scope="session")
def tones(server: Engine, weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tones]:
    folder = tmp_path_factory.mktemp("tones")
    databases = new_database(server, "soundalike_template")
    url = next(databases)
    music = write_tones(folder / "music")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in _environment(url, folder / "home", weights_dir).items():
            patched.setenv(name, value)
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["index", str(music)])
    yield Tones(str(make_url(url).database), folder / "home", music)
    next(databases, None)


@pytest.fixture
def indexed_tones(tones: Tones, tmp_path: Path, engine: Engine) -> Path:
    """The folder of `music`, and a catalogue in which it is indexed."""
    music = shutil.copytree(tones.music, tmp_path / "music")
    shutil.copytree(tones.home, tmp_path / "home", symlinks=True)
    with engine.begin() as connection:
        moved = text("UPDATE tracks SET uri = replace(uri, :old, :new)")
        connection.execute(moved, {"old": str(tones.music), "new": str(music)})
    return music


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, with the environment of the test."""

    def call(*arguments: str | Path, expect: int = 0, **changed: str) -> Done:
        for name, value in (environment | changed).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        done = Done(*capsys.readouterr())
        assert ended.value.code == expect, done
        return done

    return call


def loaded(done: Done) -> Any:
    return json.loads(done.stdout)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be reaped is none."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


FAULTY_DECODER = """
import os, signal, sys
sys.path[0] = os.getcwd()
from encoders.media import decoder_child

def faulty(whole):
    def decode(source, *rest, **options):
        name = getattr(source, "stem", "")
        if name.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[name])
        while name == "hang":
            signal.pause()
        while name == "spin":
            pass
        return whole(source, *rest, **options)
    return decode

decoder_child.decode = faulty(decoder_child.decode)
decoder_child.identify = faulty(decoder_child.identify)
decoder_child.write_samples = faulty(decoder_child.write_samples)
decoder_child.serve(sys.stdin.buffer, sys.stdout.buffer, memory_bytes=int(sys.argv[-2]), cpu_s=int(sys.argv[-1]))
"""


@pytest.fixture
def faulty_decoder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that decode, but for files of some names: that of a signal ends them, ``hang`` and ``spin`` hang."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "child.py").write_text(FAULTY_DECODER)
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/child.py" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
