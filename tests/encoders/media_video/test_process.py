from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from encoders.errors import NoVideoError, UnreadableMediaError
from encoders.media.video.process import FootageProcess, read_untrusted
from encoders.media.video.reading import read_footage
from tests.encoders.media_video.clips import clip, texture

if TYPE_CHECKING:
    from pathlib import Path


def test_a_child_reads_what_is_read_here() -> None:
    content = clip([texture(0)] * 30 + [texture(1)] * 30, sound=True)
    with FootageProcess() as process:
        here, there = read_footage(content, end_s=2.0), process.read(content, end_s=2.0)
        with pytest.raises(UnreadableMediaError, match="accepted: video"):
            process.read(b"no video")
        again = process.read(content, end_s=2.0)
    for field in dataclasses.fields(here):
        for other in (there, again):
            np.testing.assert_array_equal(getattr(other, field.name), getattr(here, field.name))


def test_a_crash_or_a_hang_costs_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for script, reason in (("kill -SEGV $$", "SIGSEGV"), ("exit 7", "failed"), ("exec sleep 60", "more than 1 s")):
        interpreter = tmp_path / "python"
        interpreter.write_text(f"#!/bin/sh\nread -r request\nexec 2>&1\n{script}\n")
        interpreter.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(interpreter))
        with pytest.raises(UnreadableMediaError, match=reason):
            read_untrusted(b"anything", timeout_s=1.0)


def test_too_much_memory_costs_the_file() -> None:
    pictures = [np.zeros((4000, 6000, 3), np.uint8)] * 2
    content = clip(pictures, codec="mpeg4", container="avi")
    with pytest.raises(UnreadableMediaError, match="memory"):
        read_untrusted(content, memory_bytes=540 << 20)


def test_errors_keep_their_kind(tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    with pytest.raises(NoVideoError, match="no video stream"):
        read_untrusted(tmp_path / "sound.wav")
