"""From a folder to the catalogue: once each, resumable, and no file ever stops it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from api.wiring import Soundalike
from encoders.encoder import Encoder
from encoders.media import fingerprint
from encoders.media.decoded import MediaLimits
from indexer import identity
from indexer.errors import ScanError
from indexer.jobs import IngestReport, index_folder
from indexer.pipeline import ingest
from indexer.scan import scan
from indexer.stages.registry import stages_with
from retrieval.catalog.files.known import StoredTrack
from retrieval.catalog.tables import embeddings, tracks
from retrieval.index.merging import rebuild
from retrieval.search.query import similar
from tests.conftest import is_running, tone

LIMITS = MediaLimits(max_duration_s=20.0)


def run(folder: Path, here: Soundalike, *encoders: Encoder, **options: object) -> IngestReport:
    return index_folder(
        folder,
        encoders,
        here.search,
        here.ledger,
        limits=LIMITS,
        decode_threads=2,
        **options,  # type: ignore[arg-type]
    )


def reasons(here: Soundalike) -> dict[str, tuple[str, str]]:
    return {Path(failure.uri).name: (failure.stage, failure.reason) for failure in here.ledger.failures()}


def test_every_file_is_found_encoded_and_searchable(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    report = run(music, soundalike, bands)
    assert dict(report.counts) == {"indexed": 12, "unchanged": 0, "failed": 0}
    stages = {"scan", "decode", "segment", "encode", "pool", "store"}
    assert set(report.seconds) == stages | ({"fingerprint"} if fingerprint.is_available() else set())
    keys = [track.key for track in soundalike.catalog.list_tracks(after_id=0, limit=20)]
    assert keys[0] == "music/high/tone06.wav"
    assert len(keys) == 12
    answer = soundalike.search.answer(similar("music/low/tone03.wav", space="bands", limit=1))
    assert answer.results[0].track.key in ("music/low/tone02.wav", "music/low/tone04.wav")
    track = soundalike.catalog.track("music/low/tone03.wav")
    assert track.duration_s == pytest.approx(3.3, abs=0.01)
    assert set(soundalike.catalog.tags_of([track.id])[track.id]) <= {"low", "high"}


def test_a_second_run_encodes_nothing(
    music: Path, soundalike: Soundalike, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(music, soundalike, bands)
    revision = soundalike.catalog.revision()
    monkeypatch.setattr("indexer.pipeline.DecoderProcess.decode", None)  # calling it would fail
    assert dict(run(music, soundalike, bands).counts) == {"indexed": 0, "unchanged": 12, "failed": 0}
    assert soundalike.catalog.revision() == revision
    os.utime(music / "low" / "tone00.wav", (1, 1))  # touched: read again, but the same audio
    assert dict(run(music, soundalike, bands).counts) == {"indexed": 0, "unchanged": 12, "failed": 0}


def test_changed_audio_takes_the_place_of_the_old(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: Callable[..., Path]
) -> None:
    run(music, soundalike, bands)
    write_wav(music / "low" / "tone00.wav", tone(110 * 2 ** (11 / 3), 3.0))
    assert run(music, soundalike, bands).counts["indexed"] == 1
    answer = soundalike.search.answer(similar("music/low/tone00.wav", space="bands", limit=1))
    assert answer.results[0].track.key == "music/high/tone11.wav"
    assert soundalike.catalog.count() == 12


def test_no_file_stops_an_ingest(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    good = (music / "low" / "tone01.wav").read_bytes()
    bad = music / "bad"
    write_wav(bad / "silent.wav", np.zeros(32_000, np.float32))
    write_wav(bad / "short.wav", tone(220, 0.5))
    write_wav(bad / "long.wav", tone(220, 21.0))
    (bad / "empty.mp3").touch()
    (bad / "text.mp3").write_text("I am a letter, not a song.\n" * 400)
    (bad / "broken.ogg").write_bytes(b"OggS" + os.urandom(5_000))
    (bad / "header only.wav").write_bytes(good[:44])
    (bad / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    report = run(music, soundalike, bands)
    assert dict(report.counts) == {"indexed": 12, "unchanged": 0, "failed": 8}
    found = reasons(soundalike)
    assert set(found) == {path.name for path in bad.iterdir()}
    assert "silent" in found["silent.wav"][1]
    assert "0.5" in found["short.wav"][1]
    assert "20" in found["long.wav"][1]
    assert "empty" in found["empty.mp3"][1]
    assert all(reason and "\n" not in reason for _, reason in found.values())
    # What is mended leaves the list.
    (bad / "empty.mp3").write_bytes(good)
    assert dict(run(music, soundalike, bands).counts) == {"indexed": 1, "unchanged": 12, "failed": 7}
    assert "empty.mp3" not in reasons(soundalike)


def test_a_file_that_vanishes_after_the_scan_is_listed(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    def remove_one(total: int) -> None:
        (music / "low" / "tone05.wav").unlink()

    report = run(music, soundalike, bands, on_start=remove_one)
    assert dict(report.counts) == {"indexed": 11, "unchanged": 0, "failed": 1}
    assert reasons(soundalike) == {"tone05.wav": ("scan", "the file has vanished")}


def test_two_folders_of_one_name_do_not_overwrite_each_other(
    music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    run(music, soundalike, bands)
    other = tmp_path / "elsewhere" / "music"
    shutil.copytree(music, other)
    for path in other.rglob("*.wav"):  # of the same sound they would be copies
        write_wav(path, tone(4000 + int(path.stem[-2:]), 3.0))
    report = run(other, soundalike, bands)
    assert report.counts["failed"] == 12
    assert "--key-prefix" in reasons(soundalike)["tone00.wav"][1]
    assert run(other, soundalike, bands, key_prefix="other").counts["indexed"] == 12
    assert soundalike.catalog.track("music/low/tone00.wav").uri.startswith(str(music))


def test_a_moved_folder_keeps_its_tracks(music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path) -> None:
    run(music, soundalike, bands)
    moved = tmp_path / "new" / "music"
    moved.parent.mkdir()
    music.rename(moved)
    assert dict(run(moved, soundalike, bands).counts) == {"indexed": 0, "unchanged": 0, "failed": 0, "moved": 12}
    assert soundalike.catalog.track("music/low/tone00.wav").uri.startswith(str(moved))
    assert soundalike.catalog.count() == 12


def test_a_name_that_is_not_utf8_is_listed(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    os.rename(music / "low" / "tone00.wav", os.fsencode(music) + b"/low/t\xff.wav")
    report = run(music, soundalike, bands)
    assert dict(report.counts) == {"indexed": 11, "unchanged": 0, "failed": 1}
    assert [failure.reason for failure in soundalike.ledger.failures()] == ["the file's name is not UTF-8: rename it"]


def test_a_folder_without_audio_is_refused(tmp_path: Path, soundalike: Soundalike, bands: Encoder) -> None:
    (tmp_path / "notes.txt").write_text("nothing to hear")
    with pytest.raises(ScanError, match=r"no audio file in it \(accepted: \.3g2"):
        run(tmp_path, soundalike, bands)
    with pytest.raises(ScanError, match="no such file or folder"):
        run(tmp_path / "nowhere", soundalike, bands)


def test_two_who_find_the_same_files_at_once_make_one_track_of_each(
    music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    def other_is_first(outcome: object) -> None:
        if soundalike.catalog.count() == 1:  # the others were looked up, and were in no catalogue yet
            run(music / "low", soundalike, bands)

    report = run(music, soundalike, bands, on_outcome=other_is_first)
    assert soundalike.catalog.count() == 12
    assert dict(report.counts) == {"indexed": 6, "unchanged": 6, "failed": 0}


def test_hidden_files_are_left_out(music: Path) -> None:
    shutil.copytree(music / "low", music / ".trash")
    shutil.copy(music / "low" / "tone00.wav", music / "._tone00.wav")
    assert len(scan(music, on_error=lambda uri, reason: None)) == 12


def test_new_weights_encode_again(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    run(music, soundalike, bands)
    newer = Encoder(bands.spec, bands._network, version="bands-2", device=bands.device)
    assert run(music, soundalike, newer).counts["indexed"] == 12
    assert soundalike.catalog.spaces() == {"bands": {"bands-2": 12}}
    assert soundalike.search.space("bands").view().encoder_version == "bands-2"


def test_an_interrupt_keeps_what_was_stored(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    seen = []

    def stop_after_four(outcome: object) -> None:
        seen.append(outcome)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(music, soundalike, bands, on_outcome=stop_after_four)
    assert soundalike.catalog.count() == 4
    assert soundalike.search.space("bands").view().count == 4
    assert dict(run(music, soundalike, bands).counts) == {"indexed": 8, "unchanged": 4, "failed": 0}


KILLED_INGEST = """
import os, signal, sys
from pathlib import Path
import psutil
import torch
from api.settings import Settings
from api.wiring import open_soundalike
from encoders.media.decoded import MediaLimits
from encoders.encoder import Encoder
from indexer.jobs import index_folder
from tests.conftest import BANDS, Bands

url, home, music, after = sys.argv[1:]
bands = Encoder(BANDS, Bands(), version="bands-1", device=torch.device("cpu"))
done = []

def kill_in_the_middle(outcome):
    done.append(outcome)
    if len(done) == int(after):
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(home=Path(home), weights_dir=Path(home), database_url=url)
with open_soundalike(settings) as here:
    index_folder(Path(music), [bands], here.search, here.ledger, limits=MediaLimits(), decode_threads=2,
                 on_outcome=kill_in_the_middle)
"""


def test_killed_in_the_middle_then_started_again(
    music: Path, soundalike: Soundalike, bands: Encoder, database_url: str
) -> None:
    """Every track once, no decoder left behind, and the index that followed equals one built anew."""
    home = soundalike.settings.home
    arguments = [sys.executable, "-c", KILLED_INGEST, database_url, str(home), str(music)]
    for after in (3, 4):
        killed = subprocess.run([*arguments, str(after)], stdout=subprocess.PIPE, check=False, timeout=120)
        assert killed.returncode == -9
        decoders, deadline = [int(pid) for pid in killed.stdout.split()], time.monotonic() + 20
        assert decoders
        while any(map(is_running, decoders)):
            assert time.monotonic() < deadline
    assert 3 <= soundalike.catalog.count() < 12
    report = run(music, soundalike, bands)
    assert report.counts["failed"] == 0
    assert report.counts["indexed"] + report.counts["unchanged"] == 12
    with soundalike.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tracks)).scalar() == 12
        whole = select(func.count()).select_from(embeddings).where(embeddings.c.segment_no.is_(None))
        assert connection.execute(whole).scalar() == 12
    index = soundalike.search.space("bands")
    queries = index.view().vectors(index.view().vector_ids(np.arange(1, 200)))
    assert len(queries) == 12
    before = index.view().search(queries, 12)
    rebuild(index)
    after_rebuild = index.view().search(queries, 12)
    assert before.track_ids.tolist() == after_rebuild.track_ids.tolist()
    np.testing.assert_allclose(before.cosines, after_rebuild.cosines, atol=1e-6)


def test_a_lost_database_stops_the_ingest_and_blames_no_file(
    music: Path, soundalike: Soundalike, bands: Encoder, database_url: str, server: Engine
) -> None:
    def cut(outcome: object) -> None:
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            name = make_url(database_url).database
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )

    with pytest.raises(OperationalError, match="not currently accepting connections"):
        run(music, soundalike, bands, on_outcome=cut)


@pytest.mark.parametrize(
    "tripped",
    [
        RuntimeError("can't change 'autocommit' now"),
        ProgrammingError("", {}, Exception("can't change 'autocommit' now")),
        OperationalError("", {}, Exception("the connection is closed")),
    ],
)
def test_an_interrupt_that_a_driver_trips_over_still_interrupts(
    tripped: Exception, music: Path, soundalike: Soundalike, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise tripped  # noqa: B904 (as psycopg does)

    monkeypatch.setattr(soundalike.catalog, "store", store)
    files, stages = scan(music, on_error=print), stages_with([bands])
    with pytest.raises(KeyboardInterrupt):
        list(ingest(files, stages, soundalike.catalog, limits=LIMITS, decode_threads=2))
    assert reasons(soundalike) == {}


def test_a_file_that_ends_its_decoder_fails_alone(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: Callable[..., Path], faulty_decoder: None
) -> None:
    before = psutil.Process().children()
    for name in ("SIGSEGV", "SIGKILL"):
        write_wav(music / "low" / f"{name}.wav", tone(220, 3.0))
    report = run(music, soundalike, bands)
    assert dict(report.counts) == {"indexed": 12, "unchanged": 0, "failed": 2}
    assert reasons(soundalike) == {
        f"{name}.wav": ("decode", f"the decoder was stopped by {name}") for name in ("SIGSEGV", "SIGKILL")
    }
    assert psutil.Process().children() == before


def test_known_tracks_are_asked_for_while_files_come_in(
    music: Path, soundalike: Soundalike, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(music, soundalike, bands)
    monkeypatch.setattr(identity, "KEYS_AT_ONCE", 5)
    requested: list[int] = []
    stored_at = soundalike.catalog.stored_at

    def counted(uris: Sequence[str]) -> dict[str, StoredTrack]:
        requested.append(len(uris))
        return stored_at(uris)

    monkeypatch.setattr(soundalike.catalog, "stored_at", counted)
    files = scan(music, on_error=print)
    outcomes = ingest(iter(files), stages_with([bands]), soundalike.catalog, limits=LIMITS, decode_threads=2)
    assert next(outcomes).file == files[0]
    assert requested == [5]
    assert [outcome.status for outcome in outcomes] == ["unchanged"] * 11
    assert requested == [5, 5, 2]
