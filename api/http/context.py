"""What a request works with: the opened catalogue, and a bounded number of clips being encoded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from flask import Flask, current_app

from api.http.problems import BusyError
from api.wiring import Soundalike

EXTENSION = "soundalike"
ENCODING_SLOTS = 2
ENCODING_WAIT_S = 30.0


@dataclass(frozen=True)
class Resources:
    """The application's resources."""

    soundalike: Soundalike
    slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(ENCODING_SLOTS))

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Hold one of the places for decoding and encoding.

        Raises
        ------
        BusyError
            If none comes free in time.
        """
        if not self.slots.acquire(timeout=ENCODING_WAIT_S):
            raise BusyError(f"{ENCODING_SLOTS} clips are being encoded: try again")
        try:
            yield
        finally:
            self.slots.release()


def attach(app: Flask, soundalike: Soundalike) -> None:
    """Give an application its resources."""
    app.extensions[EXTENSION] = Resources(soundalike)


def resources() -> Resources:
    """The current application's resources."""
    return cast("Resources", current_app.extensions[EXTENSION])


def soundalike() -> Soundalike:
    """The current application's catalogue."""
    return resources().soundalike
