"""What is not there any more is left out of answers and kept; what was deleted comes back, or is ignored."""

import os
import shutil
from pathlib import Path

import pytest

from api.wiring import Soundalike
from encoders.encoder import Encoder
from indexer.errors import ScanError
from indexer.pruning import prune
from retrieval.catalog.files.presence import ignored_files, missing_tracks
from retrieval.errors import MissingEmbeddingError
from tests.indexer.disk.catalogues import counts, keys, neighbours
from tests.indexer.test_pipeline import reasons, run


def test_files_that_are_gone_are_left_out_listed_and_come_back(
    music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    kept = tmp_path / "kept.wav"
    (music / "low" / "tone00.wav").rename(kept)
    assert counts(run(music, soundalike, bands)) == {"unchanged": 11, "missing": 1}
    assert [one.key for one in missing_tracks(soundalike.engine)] == ["music/low/tone00.wav"]
    assert "music/low/tone00.wav" not in neighbours(soundalike, "music/low/tone01.wav")
    assert soundalike.catalog.count() == len(keys(soundalike)) == 11
    with pytest.raises(MissingEmbeddingError, match=r"file of track .music/low/tone00\.wav. is missing"):
        neighbours(soundalike, "music/low/tone00.wav")
    assert soundalike.catalog.track("music/low/tone00.wav").missing_since is not None
    assert counts(run(music, soundalike, bands)) == {"unchanged": 11, "missing": 1}  # still
    kept.rename(music / "low" / "tone00.wav")
    assert set(counts(run(music, soundalike, bands))) == {"unchanged"}
    assert missing_tracks(soundalike.engine) == []
    assert "music/low/tone00.wav" in neighbours(soundalike, "music/low/tone01.wav")


def test_what_a_link_leads_to_is_missed_as_well_but_not_where_all_of_it_is_gone(
    music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    drive = tmp_path / "drive"
    shutil.copytree(music / "low", drive)
    (music / "drive").symlink_to(drive)
    assert counts(run(music, soundalike, bands)) == {"indexed": 18}
    (drive / "tone00.wav").unlink()
    assert counts(run(music, soundalike, bands)) == {"unchanged": 17, "missing": 1}
    for path in drive.iterdir():
        path.unlink()
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}
    assert [one.key for one in missing_tracks(soundalike.engine)] == ["music/drive/tone00.wav"]


@pytest.mark.parametrize("how", ["absent", "empty", "only words"])
def test_a_root_that_is_not_there_deletes_nothing(
    how: str, music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    music.rename(tmp_path / "elsewhere")
    if how != "absent":
        music.mkdir()
    if how == "only words":
        (music / "README").write_text("this is a mount point")
    with pytest.raises(ScanError):
        run(music, soundalike, bands)
    assert (soundalike.catalog.count(), missing_tracks(soundalike.engine)) == (12, [])


def test_pruning_is_for_what_was_missed_and_never_for_an_absent_root(
    music: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    run(music, soundalike, bands)
    for number in range(3):
        (music / "low" / f"tone0{number}.wav").unlink()
    (music / "low" / "tone03.wav").rename(tmp_path / "kept.wav")
    run(music, soundalike, bands)
    (tmp_path / "kept.wav").rename(music / "low" / "tone03.wav")
    assert len(prune(soundalike.catalog, soundalike.ledger, dry_run=True).pruned) == 3
    music.rename(tmp_path / "unplugged")
    pruning = prune(soundalike.catalog, soundalike.ledger)
    assert (len(pruning.pruned), {reason for _, reason in pruning.kept}) == (0, {f"{music} is not there"})
    music.mkdir()
    assert {reason for _, reason in prune(soundalike.catalog, soundalike.ledger).kept} == {f"{music} is empty"}
    music.rmdir()
    (tmp_path / "unplugged").rename(music)
    pruning = prune(soundalike.catalog, soundalike.ledger)
    assert [track.key for track in pruning.pruned] == [f"music/low/tone0{number}.wav" for number in range(3)]
    assert [reason for _, reason in pruning.kept] == ["the file is there again: index its folder"]
    assert missing_tracks(soundalike.engine)[0].key == "music/low/tone03.wav"


def test_a_folder_that_cannot_be_read_is_not_gone(
    music: Path, soundalike: Soundalike, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(music, soundalike, bands)
    listed = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("/low"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: "/low/" not in str(path) and exists(path))
    assert counts(run(music, soundalike, bands)) == {"unchanged": 6, "failed": 1}
    assert missing_tracks(soundalike.engine) == []


def test_failures_of_what_was_mended_or_deleted_leave_the_list(
    music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    for name in ("mended.mp3", "deleted.mp3", "still.mp3"):
        (music / name).touch()
    (music / "linked.wav").symlink_to(music / "nowhere")
    run(music, soundalike, bands)
    assert set(reasons(soundalike)) == {"mended.mp3", "deleted.mp3", "still.mp3", "linked.wav"}
    shutil.copy(music / "low" / "tone00.wav", music / "mended.mp3")
    (music / "deleted.mp3").unlink()
    (music / "linked.wav").unlink()
    run(music, soundalike, bands)
    assert set(reasons(soundalike)) == {"still.mp3"}


def test_a_deleted_track_comes_back_unless_it_is_ignored(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    run(music, soundalike, bands)
    soundalike.catalog.delete("music/low/tone00.wav")
    soundalike.catalog.delete("music/low/tone01.wav", ignore=True)
    assert counts(run(music, soundalike, bands)) == {"unchanged": 10, "indexed": 1, "ignored": 1}
    assert [one.key for one in ignored_files(soundalike.engine)] == ["music/low/tone01.wav"]
    (music / "low" / "tone01.wav").rename(music / "again.wav")
    assert counts(run(music, soundalike, bands)) == {"unchanged": 11, "ignored": 1}
    (music / "again.wav").rename(music / "low" / "tone01.wav")
    assert counts(run(music / "low" / "tone01.wav", soundalike, bands)) == {"indexed": 1}  # by its own name
    assert ignored_files(soundalike.engine) == []
    assert counts(run(music, soundalike, bands)) == {"unchanged": 12}
