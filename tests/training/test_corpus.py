"""A corpus: the same twice, prepared once, and what is wrong with one is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch

from encoders.checkpoints.files import read_checkpoint
from encoders.media.decoded import MediaLimits
from encoders.models.embeddings.timbre import SPEC as TIMBRE
from encoders.training.corpus import (
    CorpusError,
    load_waveforms,
    prepare,
    read_corpus,
    split_by_group,
)
from encoders.training.features import Features
from encoders.training.loop import Schedule
from encoders.training.pseudo_labels import PseudoLabels
from encoders.training.split import parted, parted_labels, save, split

RATE = 16_000


def sources(folder: Path) -> list[tuple[str, Path]]:
    return [(path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*.wav"))]


def prepared(folder: Path, corpus: Path) -> list[Any]:
    return list(prepare(sources(folder), corpus, limits=MediaLimits()))


def test_a_corpus_is_the_same_twice_and_prepared_once(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert all(done.track is not None for done in prepared(music, first))
    prepared(music, second)
    for path in first.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()
    monkeypatch.setattr("encoders.training.corpus.decode", None)  # calling it would fail
    before = (first / "manifest.jsonl").read_bytes()
    prepared(music, first)
    assert (first / "manifest.jsonl").read_bytes() == before


def test_a_corpus_holds_what_was_heard(music: Path, tmp_path: Path) -> None:
    (music / "low" / "letter.wav").write_text("not a song")
    outcomes = {done.key: done for done in prepared(music, tmp_path / "corpus")}
    assert "not a readable" in str(outcomes["low/letter.wav"].reason)
    tracks = read_corpus(tmp_path / "corpus")
    assert len(tracks) == 12
    assert {track.group for track in tracks} == {"low", "high"}
    waveforms = load_waveforms(tmp_path / "corpus", tracks, sample_rate=RATE)
    for number, track in enumerate(tracks):
        assert waveforms.lengths()[number] == pytest.approx(track.duration_s * RATE, abs=RATE * 0.05)
        tone_number = int(Path(track.key).stem.removeprefix("tone"))
        crop = waveforms.crops(np.array([number]), np.array([RATE]), RATE)[0].numpy()
        loudest_hz = np.abs(np.fft.rfft(crop * np.hanning(RATE))).argmax()
        assert loudest_hz == pytest.approx(110 * 2 ** (tone_number / 3), rel=0.01)


def test_a_kill_while_the_manifest_is_written_costs_one_track(music: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    prepared(music, corpus)
    manifest = corpus / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-10])
    assert len(read_corpus(corpus)) == 11
    prepared(music, corpus)
    assert len(read_corpus(corpus)) == 12


def test_a_file_that_comes_twice_is_kept_once(music: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (music / "copies").mkdir()
    shutil.copy(music / "low" / "tone00.wav", music / "copies" / "tone00.wav")
    for _ in range(2):
        reasons = {done.key: done.reason for done in prepared(music, corpus) if done.reason is not None}
        assert reasons == {"low/tone00.wav": "the same file as copies/tone00.wav"}
        assert {track.group: track.key for track in read_corpus(corpus)}["copies"] == "copies/tone00.wav"
        assert len(read_corpus(corpus)) == 12


def test_two_files_of_one_key_and_an_unreadable_one_are_told(music: Path, tmp_path: Path) -> None:
    files = [("a", music / "low" / "tone00.wav"), ("a", music / "low" / "tone01.wav"), ("b", music / "gone.wav")]
    outcomes = list(prepare(files, tmp_path / "corpus", limits=MediaLimits()))
    assert [done.reason for done in outcomes] == [None, "another file has the same key", "No such file or directory"]
    assert [track.duration_s for track in read_corpus(tmp_path / "corpus")] == [3.0]


def test_bad_corpora_are_named(music: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="soundalike train corpus"):
        read_corpus(tmp_path / "nowhere")
    corpus = tmp_path / "corpus"
    prepared(music, corpus)
    tracks = read_corpus(corpus)
    with pytest.raises(CorpusError, match="no group lwo; groups: high, low"):
        split_by_group(tracks, ["lwo"])
    with pytest.raises(CorpusError, match="nothing is left"):
        split_by_group(tracks, ["low", "high"])
    training, held_out = split_by_group(tracks, ["low"])
    assert {track.group for track in training} == {"high"}
    assert {track.group for track in held_out} == {"low"}
    (corpus / tracks[0].file).write_bytes(b"")
    with pytest.raises(CorpusError, match=r"\.opus \(high/tone06\.wav\): file is empty"):
        load_waveforms(corpus, tracks, sample_rate=RATE)


def test_a_split_parts_tracks_labels_and_features_alike(music: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    prepared(music, corpus)
    parts = split(corpus, ["low"])
    assert [track.key for track in parts.all] == [track.key for track in (*parts.training, *parts.judged)]
    assert (len(parts.training), len(parts.judged), parts.held_out) == (6, 6, ("low",))
    owners = np.arange(12).repeat(2)
    labels = PseudoLabels(owners, np.zeros(24), owners[:, np.newaxis].astype(np.float32))
    trained, judged = parted_labels(labels, parts)
    assert trained.scores[:, 0].tolist() == np.arange(6).repeat(2).tolist()
    assert judged.scores[:, 0].tolist() == np.arange(6, 12).repeat(2).tolist()
    assert trained.tracks.tolist() == judged.tracks.tolist() == np.arange(6).repeat(2).tolist()
    features = Features(torch.arange(24.0)[:, None], np.arange(0, 25, 2), 1.0)
    heard, unheard = parted(features, parts)
    assert unheard is not None
    for some, first in ((heard, 0), (unheard, 12)):
        assert some.crops(np.arange(6), np.zeros(6, np.int64), 2).flatten().tolist() == list(range(first, first + 12))
    assert parted(features, split(corpus, []))[1] is None


def test_weights_say_what_they_were_made_of(music: Path, tmp_path: Path) -> None:
    prepared(music, tmp_path / "corpus")
    tensors = {"weight": torch.tensor([1.0, 1e-3]), "steps": torch.tensor(7)}
    said = {}
    for name, held_out in (("all", []), ("high", ["low"])):
        parts = split(tmp_path / "corpus", held_out)
        path = save(TIMBRE, tensors, parts, Schedule(steps=3), tmp_path / f"{name}.safetensors")
        with safetensors.safe_open(path, "pt") as file:
            said[name] = file.metadata()
        kept = read_checkpoint(path)
        assert torch.equal(kept["weight"], tensors["weight"].half())
        assert torch.equal(kept["steps"], tensors["steps"])
    assert said["high"]["held_out"] == "low"
    assert said["high"]["encoder"] == "timbre"
    assert json.loads(said["high"]["settings"])["steps"] == 3
    assert said["high"]["corpus_sha256"] != said["all"]["corpus_sha256"]
