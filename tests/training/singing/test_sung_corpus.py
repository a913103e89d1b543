"""A corpus sung: under the speakers' own names, up to a length, going on where it was ended."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.corpus import CorpusError
from encoders.training.singing.melodies import JUDGING_SONGS, TRAINING_SONGS
from encoders.training.singing.sung_corpus import SungCorpus, is_held_out, sing_corpus
from encoders.training.voices.clips import SPOKEN, Clip, append_clips, read_clip, read_clips, write_clip
from tests.conftest import Run, loaded
from tests.training.conftest import SAMPLE_RATE

SPEAKERS = [f"speaker{number}" for number in range(30)]
KEPT, HELD_OUT = (next(name for name in SPEAKERS if is_held_out(name) == held) for held in (False, True))


@pytest.fixture
def corpus(tmp_path: Path, songs: Path, utterance: NDArray[np.float32]) -> SungCorpus:
    for speaker in (KEPT, HELD_OUT):
        path = f"recorded/fr/{speaker}.flac"
        write_clip(tmp_path / path, utterance)
        seconds = len(utterance) / SAMPLE_RATE
        append_clips(tmp_path / SPOKEN, [Clip(path, "fr", speaker, "a source", "recorded", seconds, "MIT")])
    return SungCorpus(tmp_path, songs)


def sung(corpus: SungCorpus, seconds: float) -> list[Clip]:
    made = list(sing_corpus(corpus, seconds=seconds))
    assert all(isinstance(clip, Clip) for clip in made)
    return [clip for clip in made if isinstance(clip, Clip)]


def test_speakers_keep_their_names_and_terms(corpus: SungCorpus) -> None:
    made = sung(corpus, 1.0)
    assert [(clip.speaker, clip.language, clip.source, clip.kind, clip.licence) for clip in made] == [
        (speaker, "fr", "a source", "sung", "MIT") for speaker in (KEPT, HELD_OUT)
    ]
    assert [clip.path for clip in made] == [f"sung/fr/a-source__{name}/000.flac" for name in (KEPT, HELD_OUT)]
    assert [(clip.path, clip.song) for clip in read_clips(corpus.sung)] == [(clip.path, clip.song) for clip in made]
    for clip in made:
        assert len(read_clip(corpus.voices / clip.path)) / SAMPLE_RATE == pytest.approx(clip.seconds)


def test_held_out_speakers_sing_songs_that_nothing_is_trained_on(corpus: SungCorpus) -> None:
    for clip in sung(corpus, 1000.0):
        assert clip.song in (JUDGING_SONGS if clip.speaker == HELD_OUT else TRAINING_SONGS)


def test_about_a_fifth_is_held_out() -> None:
    assert 0.15 < np.mean([is_held_out(f"voice {number}") for number in range(1000)]) < 0.25


def test_a_run_goes_on_where_one_was_ended(corpus: SungCorpus) -> None:
    first = sung(corpus, 1.0)
    assert sung(corpus, 1.0) == []
    rest = sung(corpus, 1000.0)
    assert {clip.path for clip in first} & {clip.path for clip in rest} == set()
    # Three times what was spoken, and no more.
    assert len(first) + len(rest) == 2 * 3
    assert sung(corpus, 1000.0) == []


def test_what_is_sung_hangs_on_the_speaker_and_not_on_the_order(corpus: SungCorpus, tmp_path: Path) -> None:
    first = {clip.path: read_clip(tmp_path / clip.path) for clip in sung(corpus, 1.0)}
    corpus.sung.unlink()
    heading, *lines = corpus.spoken.read_text(encoding="utf-8").splitlines(keepends=True)
    corpus.spoken.write_text("".join([heading, *reversed(lines)]), encoding="utf-8")
    for clip in sung(corpus, 1.0):
        assert np.array_equal(read_clip(tmp_path / clip.path), first[clip.path])


def test_a_clip_in_which_nobody_is_heard_is_passed_over(corpus: SungCorpus, tmp_path: Path) -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    write_clip(tmp_path / "recorded" / "fr" / f"{KEPT}.flac", hiss.astype(np.float32))
    made = list(sing_corpus(corpus, seconds=1.0))
    errors = [str(error) for error in made if isinstance(error, CorpusError)]
    assert len(errors) == 3
    assert errors[0].startswith(f"recorded/fr/{KEPT}.flac: no syllable is heard")
    assert [clip.speaker for clip in made if isinstance(clip, Clip)] == [HELD_OUT]


def test_songs_that_are_missing_are_said_once(corpus: SungCorpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none/001/tempo\.txt: No such file"):
        next(sing_corpus(SungCorpus(tmp_path, tmp_path / "none"), seconds=1.0))


def test_the_command_sings_what_was_spoken(corpus: SungCorpus, run: Run) -> None:
    done = run("train", "sing", corpus.voices, "--songs", corpus.songs, "--seconds", "1")
    assert "by 2 of 2 speakers" in done.stdout
    assert {clip.speaker for clip in read_clips(corpus.sung)} == {KEPT, HELD_OUT}
    assert loaded(run("train", "sing", corpus.voices, "--songs", corpus.songs, "--seconds", "1", "--json")) == {
        **{"minutes": 0.0, "singers": 0, "failed": []},
    }
