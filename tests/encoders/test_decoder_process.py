"""The decoder in a child process: the same audio and errors, and what happens when the child does not live on."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from encoders.errors import MediaError, SilentAudioError, TooShortError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoder_process import DecoderProcess, decode_untrusted
from encoders.media.native import decode_native
from tests.conftest import is_running
from tests.encoders.test_media import FORMATS, encoded, sine, wav, with_empty_packet

pytestmark = pytest.mark.own_children

PATIENCE_S = 20.0


def decoder_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if is_running(child.pid)]


def test_a_child_process_gives_the_same_audio() -> None:
    content = FORMATS["mp3"]()
    here, there = (decode_here(content, sample_rates=[16_000, 22_050]) for decode_here in (decode, decode_untrusted))
    assert there.duration_s == here.duration_s
    for rate in (16_000, 22_050):
        np.testing.assert_array_equal(there.waveforms[rate], here.waveforms[rate])


def test_a_child_process_gives_the_same_audio_as_it_is(tmp_path: Path) -> None:
    with DecoderProcess() as decoder:
        for name, content in FORMATS.items():
            path = tmp_path / f"x {name}"
            path.write_bytes(content())
            here, there = decode_native(path), decoder.decode_native(path)
            assert (there.sample_rate, there.layout, there.bits) == (here.sample_rate, here.layout, here.bits)
            np.testing.assert_array_equal(there.samples, here.samples)
            assert decoder.decode(path, sample_rates=[16_000]).duration_s == pytest.approx(here.duration_s)
        (tmp_path / "text").write_text("words, not music")
        for path in (tmp_path / "text", tmp_path / "nowhere"):
            with pytest.raises(UnreadableMediaError) as raised:
                decode_native(path)
            with pytest.raises(UnreadableMediaError) as raised_there:
                decoder.decode_native(path)
            assert str(raised_there.value) == str(raised.value)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"words, not music" * 100, UnreadableMediaError),
        (wav(np.zeros(44_100 * 2, np.float32)), SilentAudioError),
        (wav(sine(duration_s=0.2)), TooShortError),
    ],
)
def test_a_child_process_gives_the_same_error(content: bytes, error: type[MediaError]) -> None:
    with pytest.raises(error) as here:
        decode(content, sample_rates=[16_000])
    with pytest.raises(error) as there:
        decode_untrusted(content, sample_rates=[16_000])
    assert str(there.value) == str(here.value)


def test_a_child_process_is_stopped_by_the_clock() -> None:
    with pytest.raises(UnreadableMediaError, match=r"more than 0\.01 s"):
        decode_untrusted(wav(sine()), sample_rates=[16_000], timeout_s=0.01)


def test_a_child_process_is_stopped_by_its_memory() -> None:
    long = wav(np.tile(sine(duration_s=10), 60))
    with pytest.raises(UnreadableMediaError, match="memory"):
        decode_untrusted(long, sample_rates=[44_100], memory_bytes=256 << 20)


def test_a_crashed_child_process_is_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for script, reason in (("kill -SEGV $$", "SIGSEGV"), ("echo broken >&2; exit 1", "broken"), ("exit 7", "failed")):
        interpreter = tmp_path / "python"
        interpreter.write_text(f"#!/bin/sh\nread -r request\n{script}\n")
        interpreter.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(interpreter))
        with pytest.raises(UnreadableMediaError, match=reason):
            decode_untrusted(b"anything", sample_rates=[16_000])


def test_one_child_decodes_many_files(tmp_path: Path) -> None:
    before = set(decoder_children())
    with DecoderProcess() as decoder:
        assert set(decoder_children()) == before  # none before the first file
        for name, content in FORMATS.items():
            path = tmp_path / f"ünïcode {name}"
            path.write_bytes(content())
            here, there = (one(path, sample_rates=[22_050, 16_000]) for one in (decode, decoder.decode))
            assert there.duration_s == here.duration_s
            assert list(there.waveforms) == list(here.waveforms)
            for rate, waveform in here.waveforms.items():
                np.testing.assert_array_equal(there.waveforms[rate], waveform)
            with pytest.raises(UnreadableMediaError, match="no such file"):
                decoder.decode(tmp_path / "nowhere.mp3", sample_rates=[16_000])
        (child,) = set(decoder_children()) - before
        assert os.getpgid(child.pid) == child.pid  # Ctrl-C at a terminal goes to its parent's group
    assert set(decoder_children()) == before


def test_what_a_child_warns_of_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    content = encoded(sine(), "vorbis", "ogg")
    with DecoderProcess() as decoder, caplog.at_level(logging.WARNING):
        decoder.decode(with_empty_packet(content), sample_rates=[16_000])
        decoder.decode(content, sample_rates=[16_000])
    assert [record.message for record in caplog.records] == ["upload: skipped 1 corrupt audio packets"]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGXCPU"])
def test_a_file_that_ends_the_child_costs_itself_alone(name: str, tmp_path: Path, faulty_decoder: None) -> None:
    for stem in ("before", name, "after"):
        (tmp_path / f"{stem}.wav").write_bytes(wav(sine()))
    with DecoderProcess() as decoder:
        for stem in ("before", name, name, "after"):
            path = tmp_path / f"{stem}.wav"
            if stem == name:
                with pytest.raises(UnreadableMediaError, match=f"the decoder was stopped by {name}$") as raised:
                    decoder.decode(path, sample_rates=[16_000])
                assert raised.value.source == str(path)
            else:
                assert decoder.decode(path, sample_rates=[16_000]).duration_s == pytest.approx(3)


def test_a_child_that_died_between_two_files_costs_neither() -> None:
    before = set(decoder_children())
    with DecoderProcess() as decoder:
        decoder.decode(wav(sine()), sample_rates=[16_000])
        (child,) = set(decoder_children()) - before
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert decoder.decode(wav(sine()), sample_rates=[16_000]).duration_s == pytest.approx(3)


def test_a_file_that_hangs_is_stopped_by_the_clock(tmp_path: Path, faulty_decoder: None) -> None:
    (tmp_path / "hang.wav").write_bytes(wav(sine()))
    (tmp_path / "after.wav").write_bytes(wav(sine()))
    with DecoderProcess(timeout_s=3) as decoder:
        with pytest.raises(UnreadableMediaError, match=r"decoding took more than 3 s"):
            decoder.decode(tmp_path / "hang.wav", sample_rates=[16_000])
        with pytest.raises(UnreadableMediaError, match=r"decoding took more than 3 s"):
            decoder.decode_native(tmp_path / "hang.wav")
        assert decoder.decode(tmp_path / "after.wav", sample_rates=[16_000]).duration_s == pytest.approx(3)


KILLED_PARENT = """
import os, signal, sys
from pathlib import Path
import psutil
from encoders.media.decoder_process import DecoderProcess

decoder = DecoderProcess()
decoder.decode(Path(sys.argv[1]), sample_rates=[16_000])
(child,) = psutil.Process().children()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    (tmp_path / "tone.wav").write_bytes(wav(sine()))
    command = [sys.executable, "-c", KILLED_PARENT, str(tmp_path / "tone.wav")]
    killed = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    pid, deadline = int(killed.stdout), time.monotonic() + PATIENCE_S
    while is_running(pid):
        assert time.monotonic() < deadline


def test_nor_does_one_that_hangs_and_does_not_see_its_input_end(tmp_path: Path, faulty_decoder: None) -> None:
    request = {"path": str(tmp_path / "spin.wav"), "sample_rates": [16_000], "limits": {}}
    child = subprocess.run(
        [sys.executable, "-m", "encoders.media.decoder_child", str(2**31), "1"],
        input=json.dumps(request).encode() + b"\n",
        check=False,
        timeout=60,
    )
    assert child.returncode == -signal.SIGXCPU


def test_decoding_does_not_load_torch() -> None:
    code = "import sys, encoders.media.decoder_child, encoders.media.decoder_process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
