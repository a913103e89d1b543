"""Who pipes a long job's messages hears of it while one file takes long."""

import io
import threading

import pytest

from api.cli import tables


class Heard(io.StringIO):
    """A stream that is no terminal, and tells when a line has come."""

    def __init__(self, waits_for: str) -> None:
        super().__init__()
        self.waits_for, self.has_come = waits_for, threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.waits_for in self.getvalue():
            self.has_come.set()
        return written


@pytest.mark.parametrize(
    ("reported", "line"), [(False, "indexing: going on; 0:00 min"), (True, "indexing: 1/3, 2 failed;")]
)
def test_a_long_quiet_time_is_noted(monkeypatch: pytest.MonkeyPatch, *, reported: bool, line: str) -> None:
    monkeypatch.setattr(tables, "NOTE_EVERY_S", 0.01)
    stream = Heard(line)
    monkeypatch.setattr("sys.stderr", stream)
    with tables.progress("indexing", quiet=False) as show:
        if reported:
            show(1, 3, "2 failed")
        assert stream.has_come.wait(10)
    said = stream.getvalue()
    assert not [one for one in threading.enumerate() if one.name == "progress"]
    assert stream.getvalue() == said


def test_a_program_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Heard("indexing")
    monkeypatch.setattr("sys.stderr", stream)
    with tables.progress("indexing", quiet=True) as show:
        show(1, 3)
        assert not [one for one in threading.enumerate() if one.name == "progress"]
    assert stream.getvalue() == ""
