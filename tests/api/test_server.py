"""`soundalike serve`, as it runs: gunicorn answers many at once, follows the catalogue, and stops when told to."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from api.http.app import create_app
from api.http.server import Server
from api.wiring import Soundalike
from encoders.encoder import Encoder
from retrieval.catalog.reading import Catalog
from retrieval.index.merging import rebuild
from tests.api.conftest import refused
from tests.catalog.test_catalog import analysis
from tests.conftest import tone

SOUNDALIKE = Path(sys.executable).with_name("soundalike")


def ingest(folder: Path, here: Soundalike) -> None:
    here.index_folder(folder, [here.encoder("musicnn")])


def get(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def wait_until(condition: Callable[[], bool]) -> None:
    """A server looks for changes every tenth of a second: allow it many times that, on a busy machine."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


@contextmanager
def served(environment: dict[str, str], *options: str) -> Iterator[str]:
    """Yields where a server answers; in the end it is asked to stop, and does so without a complaint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [SOUNDALIKE, "serve", "--bind", address, *options], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if "Booting worker" in line:
            break
    else:
        pytest.fail("".join(said))
    try:
        yield f"http://{address}"
    finally:
        server.send_signal(signal.SIGTERM)
        errors = server.communicate(timeout=30)[1]
    assert server.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.fixture
def url(soundalike: Soundalike, music: Path, database_url: str, weights_dir: Path) -> Iterator[str]:
    ingest(music, soundalike)
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "SOUNDALIKE_HOME": str(soundalike.settings.home),
        "SOUNDALIKE_SPACE": soundalike.settings.space,
        "SOUNDALIKE_CACHE": str(weights_dir.parent),
    }
    with served(environment) as address:
        yield address


def test_many_at_once_get_the_same_answers(
    url: str, soundalike: Soundalike, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    bodies = [{"query": {"track": f"music/low/tone0{n}.wav"}, "limit": 3} for n in range(6)] * 10
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda body: get(f"{url}/v1/query", body), bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert len(answer["results"]) == 3
        assert answer["results"] == answers[bodies.index(body)]["results"]

    # What another process indexes meanwhile is soon in the answers; what it deletes is not.
    def nearest() -> str:
        found = get(f"{url}/v1/query", {"query": {"track": "music/low/tone03.wav"}, "limit": 1})
        return str([result["track"] for result in found["results"]])

    ingest(write_wav(tmp_path / "more" / "twin.wav", tone(110 * 2, 3.3)).parent, soundalike)
    wait_until(lambda: "more/twin.wav" in nearest())
    soundalike.catalog.delete("more/twin.wav")
    wait_until(lambda: "music/low/tone0" in nearest())
    rebuild(soundalike.search.space())  # the server switches to the new snapshot
    name = soundalike.search.space().view().snapshot.name  # type: ignore[union-attr]
    wait_until(lambda: get(f"{url}/readyz")["index_version"].startswith(name))

    with urllib.request.urlopen(f"{url}/docs/", timeout=10) as page:
        assert "swagger-ui" in page.read().decode()


def test_the_index_is_switched_under_workers_without_a_failed_query(
    database_url: str, engine: Engine, tmp_path: Path, rng: np.random.Generator
) -> None:
    catalog, done = Catalog(engine), threading.Event()
    catalog.store_many([analysis(f"t{number}", rng) for number in range(60)])
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "SOUNDALIKE_HOME": str(tmp_path),
        "SOUNDALIKE_SPACE": "e",
    }

    with served(environment, "--workers", "2", "--threads", "4") as url, ThreadPoolExecutor(4) as pool:

        def asked(key: str) -> Any:  # on a connection of its own, so that any worker may take it
            return get(f"{url}/v1/query", {"query": {"track": key}, "limit": 100})

        def ask(key: str) -> list[Any]:
            answers = []
            while not done.is_set():
                answers.append(asked(key))
                time.sleep(0.01)  # the workers are to rebuild as well
            return answers

        clients = [pool.submit(ask, f"t{number}") for number in range(4)]
        try:
            for number in range(3):
                catalog.store_many([analysis(f"new{number}", rng), analysis("t50", rng, content=f"again {number}")])
                catalog.delete(f"t{20 + number}")
                subprocess.run([SOUNDALIKE, "rebuild"], env=environment, check=True, capture_output=True, timeout=60)
        finally:
            done.set()
        answers = [answer for client in clients for answer in client.result(60)]
        for stats in (answer["stats"] for answer in answers):
            # What another process deleted a moment ago is counted still, and said to be gone.
            assert stats["returned"] + stats["dropped"].get("deleted_meanwhile", 0) == stats["matching"] >= 56
        assert len({answer["index_version"].split("+")[0] for answer in answers}) >= 2

        # Each worker comes to see all that was written.
        wanted = {f"t{number}" for number in range(1, 60) if number not in (20, 21, 22)} | {"new0", "new1", "new2"}
        wait_until(lambda: all({found["track"] for found in asked("t0")["results"]} == wanted for _ in range(10)))


def test_a_worker_looks_for_no_garbage_in_what_it_has_loaded(soundalike: Soundalike) -> None:
    server = Server(soundalike.settings, bind="127.0.0.1:0", workers=1, threads=1)
    try:
        app = server.load()
        assert gc.get_freeze_count() > 10 * len(gc.get_objects())
        assert app.test_client().get("/healthz").status_code == 200
    finally:
        gc.unfreeze()
        server.cfg.worker_exit(None, None)


def test_not_ready_says_why(soundalike: Soundalike) -> None:
    client = create_app(soundalike).test_client()
    assert "holds no track" in refused(client.get("/readyz"), 503, "not-ready")["detail"]


def test_an_encoder_is_loaded_once(soundalike: Soundalike) -> None:
    assert isinstance(soundalike.encoder("musicnn"), Encoder)
    assert soundalike.encoder("musicnn") is soundalike.encoder("musicnn")
