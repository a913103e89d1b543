"""Downloads as they come in: a bar in a terminal, and elsewhere a line at once and one now and then."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.cli.terminal import Screen
from encoders.checkpoints.downloads import told_of_downloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

LINE_EVERY_S = 10.0


@contextmanager
def shown_downloads(*, quiet: bool) -> Iterator[None]:
    """Show on standard error whatever is downloaded within, unless a program reads the answer."""
    if quiet:
        yield
        return
    shown = _Downloads()
    try:
        with told_of_downloads(shown.told):
            yield
    finally:
        shown.stop()


class _Downloads:
    """What is shown of the download that goes on."""

    def __init__(self) -> None:
        self._name = ""
        self._said_at = float("-inf")
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def told(self, name: str, here: int, total: int | None) -> None:
        """So many bytes of it are here."""
        console = Screen(stderr=True, soft_wrap=True)
        done = total is not None and here >= total > 0
        if name != self._name:
            self.stop()
            self._name, self._said_at = name, float("-inf")
        if console.is_terminal:
            self._draw(console, here, total)
            if done:
                self.stop()
        elif done or time.monotonic() - self._said_at > LINE_EVERY_S:
            self._said_at = time.monotonic()
            console.print(f"fetching {name}: {_amount(here)}{f' of {_amount(total)}' if total else ''}")

    def stop(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._name = None, ""

    def _draw(self, console: Screen, here: int, total: int | None) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            columns = (TextColumn("fetching {task.description}", markup=False), BarColumn(), DownloadColumn())
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console)
            self._task = self._bar.add_task(self._name, total=total)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=here, total=total)


def _amount(size: int) -> str:
    return f"{size / 10**6:.1f} MB"
