"""The program `soundalike`, from its first moment to its last: what is imported here comes before anything is said."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def run() -> None:
    """Run the command line and end, without taking apart what is loaded, which takes a second where torch is.

    Ctrl-C ends the program without a word until a command runs, and again when it is done. Threads are waited for, and
    what is registered for the end is done.
    """
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not by a shell's background jobs

    def on_interrupt(action: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
        if is_heeded:
            signal.signal(signal.SIGINT, action)

    on_interrupt(signal.SIG_DFL)
    import atexit
    import gc
    import os
    import threading

    gc.set_threshold(100_000, 50, 50)  # else a tenth of the start is spent on looking for garbage among modules
    from api.cli.main import main

    try:
        main(on_start=lambda: on_interrupt(signal.default_int_handler))
    except SystemExit as end:
        on_interrupt(signal.SIG_DFL)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        os._exit(int(end.code or 0))
