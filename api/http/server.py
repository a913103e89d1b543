"""gunicorn over one memory-mapped index: threads share it, FAISS, numpy and torch release the interpreter's lock."""

import gc
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from apiflask import APIFlask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from api.http.app import create_app
from api.settings import Settings
from api.wiring import open_soundalike
from retrieval.index import loading

ACCESS = "%(t)s %(h)s %(m)s %(U)s %(s)s %(M)s ms %(B)s bytes"
"""When, from where, what, with which status, how long it took and how large the answer is; never what was asked."""


class AccessLogger(Logger):  # type: ignore[misc]
    """The access log, a line a request: a path with a line break in it would be two, and look like another request."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> Any:
        """What a line may tell; the path as an address has it, by which a blank, too, is no end of it."""
        told = super().atoms(resp, req, environ, request_time)
        return told | {"U": quote(str(environ.get("PATH_INFO", "")).encode("latin-1"), safe="/:@!$&'()*+,;=~")}


class Server(BaseApplication):  # type: ignore[misc]
    """The HTTP API under gunicorn; every worker process opens the catalogue for itself.

    Parameters
    ----------
    access_log : whether each request is told on standard output, in one line
    """

    def __init__(self, settings: Settings, *, bind: str, workers: int, threads: int, access_log: bool = False) -> None:
        self._settings = settings
        self._options = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "worker_class": "gthread",
            "timeout": 120,
            "accesslog": "-" if access_log else None,
            "access_log_format": ACCESS,
            "logger_class": AccessLogger,
        }
        self._resources = ExitStack()
        super().__init__()

    def run_then(self, on_ready: Callable[[], None]) -> None:
        """Serve; `on_ready` is called once the port is this server's."""
        self.cfg.set("when_ready", lambda _server: on_ready())
        self.run()

    def load_config(self) -> None:
        """Hand the options to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)
        self.cfg.set("control_socket_disable", True)  # two servers of one user would fight over its path
        self.cfg.set("worker_exit", self._close)

    def load(self) -> APIFlask:
        """Open the catalogue in this worker."""
        loading.load()
        app = create_app(self._resources.enter_context(open_soundalike(self._settings)))
        # What was loaded so far stays: to look for garbage in it would stop all queries for a sixth of a second.
        gc.collect()
        gc.freeze()
        return app

    def _close(self, _server: Any, _worker: Any) -> None:
        self._resources.close()
