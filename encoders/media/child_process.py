"""Work on files in a supervised child process: what crashes it, hangs it or takes too much memory costs itself alone.

A child lives for many files, and is started anew after one that ended it. A request is a line of JSON on its standard
input, then the bytes where it is an upload; an answer is a line of JSON on its standard output, then its arrays
(:mod:`encoders.media.child_serving` is the other side). The pipes are as wide as the system lets them be: an hour of
audio at 16 kHz is handed over in a tenth of a second. The child ends when its input does, so it does not outlive its
parent, and a limit on CPU time ends it where it hangs.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from encoders.errors import MediaError, UnreadableMediaError, called

if TYPE_CHECKING:
    from io import BufferedReader, BufferedWriter

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_PIPE_BYTES = 1 << 20  # what Linux grants everybody: a third faster than its usual 64 KiB
_LAST_WORDS = 4096
_REFUSALS = {kind.__name__: kind for kind in MediaError.__subclasses__()}


class ChildProcess:
    """A child process that answers for one file after the other; it starts with the first, for one thread at a time.

    Parameters
    ----------
    timeout_s : wall clock and CPU seconds that a file may take
    memory_bytes : address space that the child may take
    """

    module: ClassVar[str]
    """What the child runs, by :func:`encoders.media.child_serving.serve`."""

    def __init__(self, *, timeout_s: float = 600.0, memory_bytes: int = 8 << 30) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._stderr = os.memfd_create("stderr of a decoder")  # a pipe that nobody reads would fill

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        os.close(self._stderr)

    def ask(self, source: Path | bytes, request: dict[str, Any]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Let the child answer for a file or an upload.

        Raises
        ------
        MediaError
            The subclass that was raised there; UnreadableMediaError also for a timeout or a crash.
        """
        name = called(source)
        child = self._running()
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()

        clock = threading.Timer(self._timeout_s, expire)
        clock.start()
        try:
            answer, arrays = _exchange(child, source, request)
        except (OSError, EOFError, ValueError) as error:
            returncode = self._end()
            reason = f"decoding took more than {self._timeout_s:g} s" if expired.is_set() else self._reason(returncode)
            raise UnreadableMediaError(name, reason) from error
        except BaseException:  # half an answer would be taken for the next file's
            self._end()
            raise
        finally:
            clock.cancel()
            clock.join()
            if expired.is_set():  # at the last moment, it may be: the next file gets another child
                self._end()
        for warning in answer["warnings"]:
            logger.warning("%s", warning)
        if "error" in answer:
            raise _REFUSALS[answer["error"]](name, answer["reason"])
        return answer, arrays

    def _running(self) -> subprocess.Popen[bytes]:
        """The child, started where there is none, or none any more."""
        if self._child is None or self._child.poll() is not None:
            self._end()
            limits = str(self._memory_bytes), str(math.ceil(self._timeout_s) + 1)
            self._child = subprocess.Popen(
                [sys.executable, "-m", self.module, *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                # Every BLAS thread reserves address space, on a machine with many cores more than the limit.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                process_group=0,  # Ctrl-C is for the parent: a file that it cuts short has not failed
            )
            for pipe in (self._child.stdin, self._child.stdout):
                with suppress(OSError):  # the user's pipes may be many already
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[arg-type]
        os.lseek(self._stderr, 0, os.SEEK_SET)  # the child's place in it, too
        os.ftruncate(self._stderr, 0)
        return self._child

    def _end(self) -> int:
        """End the child, if there is one, and return what it ended with."""
        child, self._child = self._child, None
        if child is None:
            return 0
        child.kill()
        with suppress(BrokenPipeError), child:
            pass
        return child.returncode

    def _reason(self, returncode: int) -> str:
        if returncode < 0:
            return f"the decoder was stopped by {signal.Signals(-returncode).name}"
        size = os.fstat(self._stderr).st_size
        last = os.pread(self._stderr, _LAST_WORDS, max(0, size - _LAST_WORDS)).decode(errors="replace")
        lines = last.strip().splitlines() or ["no message"]
        return f"the decoder failed: {lines[-1][:200]}"


def _exchange(
    child: subprocess.Popen[bytes], source: Path | bytes, request: dict[str, Any]
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """One request and its answer; an error where the child is gone before the end of it."""
    requests, answers = cast("BufferedWriter", child.stdin), cast("BufferedReader", child.stdout)
    where = {"path": str(source.absolute())} if isinstance(source, Path) else {"size": len(source)}
    requests.write(json.dumps(where | request).encode() + b"\n")
    if isinstance(source, bytes):
        requests.write(source)
    requests.flush()
    answer = json.loads(answers.readline())
    arrays = []
    for kind, shape in answer.get("arrays", []):
        array = np.empty(shape, kind)
        arrays.append(array)
        if array.nbytes and answers.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            raise EOFError("the decoder ended within an array")
    return answer, arrays
