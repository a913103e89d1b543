"""Read videos and pictures in a supervised child process (:mod:`encoders.media.video.child`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from encoders.media.child_process import ChildProcess
from encoders.media.video.footage import DEFAULT_VIDEO_LIMITS, Footage, VideoLimits

if TYPE_CHECKING:
    from pathlib import Path


class FootageProcess(ChildProcess):
    """A reader of videos in a child process of its own, which starts with the first; for one thread at a time.

    Parameters
    ----------
    timeout_s : wall clock and CPU seconds that a video may take
    memory_bytes : address space that the child may take
    """

    module = "encoders.media.video.child"

    def __init__(self, *, timeout_s: float = 120.0, memory_bytes: int = 2 << 30) -> None:
        super().__init__(timeout_s=timeout_s, memory_bytes=memory_bytes)

    def read(
        self,
        source: Path | bytes,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    ) -> Footage:
        """Read as :func:`encoders.media.video.reading.read_footage` does.

        Raises
        ------
        MediaError
            The same subclass; UnreadableMediaError also for a timeout or a crash of the decoder.
        """
        answer, arrays = self.ask(source, {"start_s": start_s, "end_s": end_s, "limits": asdict(limits)})
        return Footage(**answer["values"], **dict(zip(answer["names"], arrays, strict=True)))


def read_untrusted(
    source: Path | bytes,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    timeout_s: float = 120.0,
    memory_bytes: int = 2 << 30,
) -> Footage:
    """Read one video in a child process that sees no other; parameters and errors as of `FootageProcess`."""
    with FootageProcess(timeout_s=timeout_s, memory_bytes=memory_bytes) as process:
        return process.read(source, start_s=start_s, end_s=end_s, limits=limits)
