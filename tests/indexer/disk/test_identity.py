"""What is moved, retagged, linked, or put in another's place is known, and takes nothing away."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mutagen
import pytest
import torch
from mutagen.flac import FLAC
from sqlalchemy import text

from api.wiring import Soundalike
from encoders.analysis.languages import LanguageIdentifier
from encoders.analysis.vocals import VocalDetector
from encoders.analysis.voices import VoiceAnalysis
from encoders.encoder import Encoder
from indexer.stages.registry import Analyses
from indexer.uploads import Upload, index_upload
from retrieval.search.query import similar
from tests.conftest import tone
from tests.encoders.analysis.test_vocals import Pitched
from tests.indexer.disk.catalogues import counts, keys, neighbours
from tests.indexer.test_pipeline import LIMITS, reasons, run
from tests.indexer.test_voice_stages import SingsInSpanish

WriteWav = Callable[..., Path]


def test_another_drive_with_the_same_names_takes_nothing_away(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: WriteWav, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    music.rename(tmp_path / "in the drawer")
    for number in range(12):
        folder = "low" if number < 6 else "high"
        write_wav(music / folder / f"tone{number:02}.wav", tone(5000 + 50 * number, 4.0))
    # The same mount point: files at the very place of others are changed files. What must not happen is by name.
    other = tmp_path / "another" / "music"
    other.parent.mkdir()
    music.rename(other)
    report = run(other, soundalike, bands)
    assert counts(report) == {"failed": 12}
    assert "is not there now and sounds different" in reasons(soundalike)["tone00.wav"][1]
    (tmp_path / "in the drawer").rename(music)
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}
    assert counts(run(other, soundalike, bands, key_prefix="other")) == {"indexed": 12}


@pytest.mark.parametrize("rename", ["folder", "file", "both", "up", "case"])
def test_what_is_moved_is_the_same_track(
    rename: str, music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    before = soundalike.catalog.track("music/low/tone03.wav")
    soundalike.catalog.correct(before.key, {"title": "Corrected"})
    low = music / "low"
    if rename in ("folder", "both"):
        low = low.rename(music / "deep")
    if rename in ("file", "both"):
        (low / "tone03.wav").rename(low / "three.wav")
    if rename == "up":
        (low / "tone03.wav").rename(music / "tone03.wav")
    if rename == "case":
        (low / "tone03.wav").rename(low / "Tone03.WAV")
    report = run(music, soundalike, bands)
    assert set(counts(report)) == {"unchanged", "moved"}
    assert soundalike.catalog.count() == 12
    moved = next(track for track in soundalike.catalog.list_tracks(after_id=0, limit=20) if track.id == before.id)
    assert (moved.title, Path(moved.uri).exists()) == ("Corrected", True)
    assert moved.key == f"music/{Path(moved.uri).relative_to(music).as_posix()}"
    assert before.key not in neighbours(soundalike, moved.key)
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}


def test_copies_that_are_moved_together_stay_two(
    music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    shutil.copy(music / "low" / "tone00.wav", music / "low" / "copy.wav")
    run(music, soundalike, bands)
    ids = {track.id for track in soundalike.catalog.list_tracks(after_id=0, limit=20)}
    (music / "low").rename(music / "deep")
    assert counts(run(music, soundalike, bands)) == {"unchanged": 6, "moved": 7}
    tracks = soundalike.catalog.list_tracks(after_id=0, limit=20)
    assert {track.id for track in tracks} == ids
    assert {"music/deep/tone00.wav", "music/deep/copy.wav"} <= {track.key for track in tracks}


def test_a_copy_is_another_track(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    run(music, soundalike, bands)
    shutil.copytree(music / "low", music / "copies")
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12, "indexed": 6}
    assert soundalike.catalog.count() == 18


def test_the_same_music_under_the_same_keys_elsewhere_is_in_already(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: WriteWav, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    other = tmp_path / "another" / "music"
    shutil.copytree(music, other)
    write_wav(other / "low" / "tone01.wav", tone(5000, 4.0))
    write_wav(other / "low" / "new.wav", tone(6000, 4.0))
    report = run(other, soundalike, bands)
    assert counts(report) == {"copy": 11, "failed": 1, "indexed": 1}
    assert reasons(soundalike)["tone01.wav"][1].startswith("key 'music/low/tone01.wav' belongs to ")
    assert soundalike.catalog.track("music/low/tone00.wav").uri == str(music / "low" / "tone00.wav")


def test_two_files_that_change_places_keep_what_was_said_of_neither_twice(
    music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    run(music, soundalike, bands)
    one, other = music / "low" / "tone00.wav", music / "high" / "tone11.wav"
    near = neighbours(soundalike, "music/low/tone00.wav")
    one.rename(music / "x")
    other.rename(one)
    (music / "x").rename(other)
    assert counts(run(music, soundalike, bands)) == {"unchanged": 10, "indexed": 2}
    first = soundalike.search.answer(similar("music/low/tone00.wav", space="bands", limit=1)).results[0].track.key
    assert first.startswith("music/high/")
    assert len(near) == len(neighbours(soundalike, "music/low/tone00.wav")) == 11


@pytest.mark.parametrize("how", ["subfolder", "file", "relative", "dots", "link", "prefix", "parent"])
def test_a_file_that_is_in_keeps_its_key(
    how: str,
    music: Path,
    soundalike: Soundalike,
    bands: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(music, soundalike, bands)
    before = keys(soundalike)
    monkeypatch.chdir(music / "low")
    (tmp_path / "link").symlink_to(music)
    roots = {
        **{"subfolder": music / "low", "file": music / "low" / "tone00.wav", "relative": Path()},
        **{"dots": Path("..", "low", "..", "high"), "link": tmp_path / "link", "prefix": music, "parent": tmp_path},
    }
    options = {"key_prefix": "p"} if how == "prefix" else {}
    assert set(counts(run(roots[how], soundalike, bands, **options))) == {"unchanged"}
    assert keys(soundalike) == before


def test_a_retag_keeps_every_space_and_analysis(
    flac: Path, music: Path, soundalike: Soundalike, bands: Encoder, other_bands: Encoder
) -> None:
    run(music, soundalike, bands, other_bands)
    track = soundalike.catalog.track("music/low/song.flac")
    before = soundalike.catalog.stored_tracks([track.key])[track.key]
    tagged = FLAC(flac)
    tagged["title"] = "New " * 3_000  # beyond the padding: every byte of the audio moves
    tagged.save()
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12, "updated": 1}
    after = soundalike.catalog.stored_tracks([track.key])[track.key]
    assert after.analyses == before.analyses
    assert (after.audio_hash, after.content_hash == before.content_hash) == (before.audio_hash, False)
    assert soundalike.catalog.track(track.key).id == track.id
    assert str(soundalike.catalog.track(track.key).title).startswith("New")
    for space in ("bands", "other"):
        assert len(soundalike.search.answer(similar(track.key, space=space, limit=5)).results) == 5


def test_a_retag_that_has_the_language_asked_again_is_one(
    flac: Path, music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    detector = VocalDetector(Pitched(), version="vocals-1", device=torch.device("cpu"))
    listening = Analyses(voices=VoiceAnalysis(detector, LanguageIdentifier(SingsInSpanish())))
    run(music, soundalike, bands, analyses=listening)
    tagged = mutagen.File(flac)
    tagged["title"] = "De colores"
    tagged.save()
    report = run(music, soundalike, bands, analyses=listening)
    assert counts(report) == {"unchanged": 12, "updated": 1}
    assert {"vocals", "language"} <= set(report.seconds)
    assert "encode" not in report.seconds
    tagged["title"] = "De dolores"
    tagged.save()
    flac.rename(music / "moved.flac")
    assert counts(run(music, soundalike, bands, analyses=listening)) == {"unchanged": 12, "moved": 1}
    tagged = mutagen.File(music / "moved.flac")
    tagged["title"] = "Another"
    tagged.save()
    newer = VocalDetector(Pitched(), version="vocals-2", device=torch.device("cpu"))
    listening = Analyses(voices=VoiceAnalysis(newer, LanguageIdentifier(SingsInSpanish())))
    assert counts(run(music, soundalike, bands, analyses=listening))["indexed"] == 13


def test_a_retag_and_a_move_at_once_is_the_same_track(
    flac: Path, music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    run(music, soundalike, bands)
    track_id = soundalike.catalog.track("music/low/song.flac").id
    tagged = mutagen.File(flac)
    tagged["artist"] = "Somebody"
    tagged.save()
    flac.rename(music / "Somebody - Song.flac")
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12, "moved": 1}
    track = soundalike.catalog.track("music/Somebody - Song.flac")
    assert (track.id, track.artist) == (track_id, "Somebody")


def test_what_sounds_otherwise_is_heard_again_in_every_space_that_it_had(
    music: Path, soundalike: Soundalike, bands: Encoder, other_bands: Encoder, write_wav: WriteWav
) -> None:
    run(music, soundalike, bands, other_bands)
    write_wav(music / "low" / "tone00.wav", tone(110 * 2 ** (11 / 3), 3.0))
    report = run(music, soundalike, bands, others={"other": other_bands}.get)
    assert counts(report) == {"unchanged": 11, "indexed": 1}
    assert report.dropped == {}
    answer = soundalike.search.answer(similar("music/low/tone00.wav", space="other", limit=1))
    assert answer.results[0].track.key == "music/high/tone11.wav"
    write_wav(music / "low" / "tone00.wav", tone(110, 3.0))
    report = run(music, soundalike, bands)  # nobody has the other encoder any more: said, and not in silence
    assert report.dropped == {"embedding/other": ["music/low/tone00.wav"]}


def test_an_edit_that_keeps_size_and_time_is_seen(
    music: Path, soundalike: Soundalike, bands: Encoder, write_wav: WriteWav
) -> None:
    run(music, soundalike, bands)
    path = music / "low" / "tone00.wav"
    stat = path.stat()
    write_wav(path, tone(110 * 2 ** (11 / 3), 3.0))
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert counts(run(music, soundalike, bands)) == {"unchanged": 11, "indexed": 1}


def test_a_catalogue_from_before_is_looked_at_once_more(
    flac: Path, music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    tagged = FLAC(flac)
    tagged["title"] = "Named"
    tagged.save()
    run(music, soundalike, bands)
    with soundalike.engine.begin() as connection:  # as the migration leaves what there was
        connection.execute(text("UPDATE tracks SET audio_hash = NULL, changed_ns = NULL, title = NULL"))
    assert counts(run(music, soundalike, bands)) == {"unchanged": 13}
    assert soundalike.catalog.track("music/low/song.flac").title == "Named"
    known = soundalike.catalog.stored_tracks(["music/low/song.flac"])["music/low/song.flac"]
    assert len(str(known.audio_hash)) == 64
    revision = soundalike.catalog.revision()
    run(music, soundalike, bands)
    assert soundalike.catalog.revision() == revision


def test_a_rescan_believes_no_time(music: Path, soundalike: Soundalike, bands: Encoder, write_wav: WriteWav) -> None:
    run(music, soundalike, bands)
    path = music / "low" / "tone00.wav"
    write_wav(path, tone(110 * 2 ** (11 / 3), 3.0))
    stat = path.stat()
    with soundalike.engine.begin() as connection:  # as on a disk whose clock was turned back
        connection.execute(
            text("UPDATE tracks SET modified_ns = :m, changed_ns = :c WHERE uri = :uri"),
            {"m": stat.st_mtime_ns, "c": stat.st_ctime_ns, "uri": str(path)},
        )
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}
    assert counts(run(music, soundalike, bands, rescan=True)) == {"unchanged": 11, "indexed": 1}


@pytest.mark.parametrize("when_s", [-(2**34), 2**34 - 1, 0, -1])
def test_any_time_of_a_file_is_taken(when_s: int, music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    os.utime(music / "low" / "tone00.wav", (0, when_s))
    assert counts(run(music, soundalike, bands)) == {"indexed": 12}
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}


def test_an_upload_of_another_sound_is_heard_in_every_space_that_held_it(
    music: Path, soundalike: Soundalike, bands: Encoder, other_bands: Encoder, tmp_path: Path
) -> None:
    low, high = (music / place for place in ("low/tone00.wav", "high/tone11.wav"))
    options = {"uploads_dir": tmp_path / "uploads", "limits": LIMITS}
    sent = Upload("mine", "tone.wav", low.read_bytes(), title="Mine")
    assert index_upload(sent, [bands, other_bands], soundalike.catalog, **options).status == "indexed"
    sent = replace(sent, content=high.read_bytes(), metadata={"plays": 7})
    outcome = index_upload(sent, [bands], soundalike.catalog, **options, others={"other": other_bands}.get)
    assert outcome.status == "indexed"
    stored = soundalike.catalog.stored_tracks(["mine"])["mine"]
    assert {"embedding/bands", "embedding/other"} <= stored.analyses.keys()
    track = soundalike.catalog.track("mine")
    assert (track.title, track.metadata) == ("Mine", {"plays": 7})
