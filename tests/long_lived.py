"""What lives for many tests: to start a child that decodes, or to load the largest network, takes as long as one."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from encoders import listeners
from encoders.analysis.languages import LanguageIdentifier
from encoders.loading import weights_file
from encoders.media.child_process import ChildProcess
from encoders.registry import network_spec

Kind = tuple[str, str, int, float]


@dataclass(frozen=True)
class Idle:
    """Children that are well, each with the file of its last words, by what they were started with."""

    interpreter: str
    """Tests have others, whose children misbehave."""
    children: defaultdict[Kind, list[tuple[subprocess.Popen[bytes], int]]] = field(
        default_factory=lambda: defaultdict(list)
    )


@pytest.fixture(scope="session")
def idle_children() -> Iterator[Idle]:
    idle = Idle(sys.executable)
    yield idle
    for child, _ in (one for children in idle.children.values() for one in children):
        child.kill()
        child.communicate()


_identifiers: dict[tuple[Path, int, int], LanguageIdentifier] = {}


@pytest.fixture(autouse=True)
def _shared_ear_for_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest network is loaded once for each file of its weights; threads share it anyway."""
    load = listeners.load_language_identifier

    def load_once(weights_dir: Path) -> LanguageIdentifier:
        path = weights_file(network_spec("whisper-base"), weights_dir)
        if path is None:
            return load(weights_dir)
        of_file = path.resolve(), path.stat().st_size, path.stat().st_mtime_ns
        if of_file not in _identifiers:
            _identifiers[of_file] = load(weights_dir)
        return _identifiers[of_file]

    monkeypatch.setattr(listeners, "load_language_identifier", load_once)


@pytest.fixture(autouse=True)
def _shared_children(request: pytest.FixtureRequest, idle_children: Idle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves a child that is well leaves it to the next who asks for one of its kind."""
    running, leave = ChildProcess._running, ChildProcess.__exit__

    def of_its_kind(process: ChildProcess) -> list[tuple[subprocess.Popen[bytes], int]]:
        return idle_children.children[sys.executable, process.module, process._memory_bytes, process._timeout_s]

    def running_or_idle(process: ChildProcess) -> subprocess.Popen[bytes]:
        if process._child is None:
            with suppress(IndexError):  # asked for at once by threads, which take them one by one
                child, stderr = of_its_kind(process).pop()
                os.close(process._stderr)
                process._child, process._stderr = child, stderr
        return running(process)

    def leave_to_others(process: ChildProcess, *error: object) -> None:
        if process._child is None or process._child.poll() is not None or sys.executable != idle_children.interpreter:
            leave(process, *error)
        else:
            of_its_kind(process).append((process._child, process._stderr))
            process._child, process._stderr = None, -1

    if request.node.get_closest_marker("own_children") is None:
        monkeypatch.setattr(ChildProcess, "_running", running_or_idle)
        monkeypatch.setattr(ChildProcess, "__exit__", leave_to_others)
