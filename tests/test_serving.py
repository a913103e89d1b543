"""The server as it is started: worker processes share an index that is switched under them, and no query fails."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.catalog import Catalog
from tests.test_catalog import analysis

WORKERS, CLIENTS, TRACKS = 2, 4, 60


@pytest.fixture
def catalog(engine: Engine, rng: np.random.Generator) -> Catalog:
    catalog = Catalog(engine)
    catalog.store_many([analysis(f"t{number}", rng) for number in range(TRACKS)])
    return catalog


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from api.cli import main; main()", *arguments]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url, "SOUNDALIKE_HOME": str(tmp_path), "SOUNDALIKE_SPACE": "e"}


@pytest.fixture
def port(catalog: Catalog, environment: dict[str, str]) -> Iterator[int]:
    """Where the server listens; in the end it is asked to stop, and does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    serve = command("serve", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--threads", "4")
    with subprocess.Popen(serve, env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while not is_ready(port):
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server is not ready"
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        threading.Event().wait(0.05)
        return False


def asked(port: int, key: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of a query, on a connection of its own, so that any worker may take it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"query": {"track": key}, "limit": 100})
    connection.request("POST", "/v1/query", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_the_index_is_switched_under_workers_without_a_failed_query(
    port: int, catalog: Catalog, environment: dict[str, str], tmp_path: Path, rng: np.random.Generator
) -> None:
    done = threading.Event()

    def ask(client: int) -> list[tuple[int, dict[str, Any]]]:
        answers = []
        while not done.is_set():
            answers.append(asked(port, f"t{client}"))
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, client) for client in range(CLIENTS)]
        try:
            for number in range(3):
                catalog.store_many([analysis(f"new{number}", rng), analysis("t50", rng, content=f"again {number}")])
                catalog.delete(f"t{20 + number}")
                subprocess.run(command("rebuild"), env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
        finally:
            done.set()
        answers = [answer for client in clients for answer in client.result(60)]
    assert {status for status, _ in answers} == {200}
    for stats in (body["stats"] for _, body in answers):
        # What another process deleted a moment ago is counted still, and said to be gone.
        assert stats["returned"] + stats["dropped"].get("deleted_meanwhile", 0) == stats["matching"] >= TRACKS - 4
    snapshots = {body["index_version"].split("+")[0] for _, body in answers}
    assert len(snapshots) >= 2
    # Each worker comes to see all that was written.
    wanted = {f"t{number}" for number in range(1, TRACKS) if number not in (20, 21, 22)} | {"new0", "new1", "new2"}
    deadline = time.monotonic() + 10
    seen: list[bool] = []
    while len(seen) < 10 or not all(seen[-10:]):
        assert time.monotonic() < deadline, "a worker still shows what was"
        seen.append({result["track"] for result in asked(port, "t0")[1]["results"]} == wanted)
