"""Stages: what is missing or old is made anew, alone; an error is its track's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import select, text

from api.wiring import Soundalike
from encoders.encoder import Encoder, Encoding
from encoders.media import fingerprint
from encoders.media.decode import decode
from encoders.media.decoded import DecodedAudio
from encoders.media.decoder_process import DecoderProcess
from indexer.errors import StageError
from indexer.file_tags import FileTags
from indexer.scan import ScannedFile
from indexer.stages.embedding import EmbeddingStage
from indexer.stages.stage import Stage, StageResult, TrackInput, each, outdated
from indexer.track import DecodedTrack, prepare, run_stages
from retrieval.catalog.records import SpaceEmbedding, TagScores
from retrieval.catalog.tables import analyses, tracks
from tests.conftest import BANDS, Bands, tone
from tests.indexer.decoding import Decoding
from tests.indexer.test_pipeline import LIMITS, reasons, run

needs_library = pytest.mark.skipif(not fingerprint.is_available(), reason="libchromaprint is not installed")

HALF_RATE = 8_000


@pytest.fixture
def half_bands() -> Encoder:
    """The same network, of sound at half the rate."""
    spec = replace(BANDS, name="half", sample_rate=HALF_RATE)
    return Encoder(spec, Bands(), version="half-1", device=torch.device("cpu"))


@pytest.fixture
def decoded_rates(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Sample rates of every file that is decoded."""
    rates: list[list[int]] = []
    whole = DecoderProcess.decode

    def decode(process: DecoderProcess, source: Path, *, sample_rates: list[int], **options: Any) -> DecodedAudio:
        rates.append(sample_rates)
        return whole(process, source, sample_rates=sample_rates, **options)

    monkeypatch.setattr(DecoderProcess, "decode", decode)
    return rates


def analysed(here: Soundalike) -> dict[str, dict[str, tuple[str, Any]]]:
    """Version and time of every stage of every track."""
    statement = select(tracks.c.key, analyses).join(tracks, tracks.c.id == analyses.c.track_id)
    held: dict[str, dict[str, tuple[str, Any]]] = {}
    with here.engine.connect() as connection:
        for row in connection.execute(statement):
            held.setdefault(row.key, {})[row.stage] = row.version, row.analysed_at
    return held


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Stages that ran anew."""
    return {stage for key, stages in after.items() for stage in stages if stages[stage] != before[key].get(stage)}


@needs_library
def test_a_missing_stage_runs_alone(
    music: Path, soundalike: Soundalike, bands: Encoder, half_bands: Encoder, decoded_rates: list[list[int]]
) -> None:
    encoders = (bands, half_bands)
    run(music, soundalike, *encoders)
    assert decoded_rates == [[HALF_RATE, BANDS.sample_rate]] * 12
    before = analysed(soundalike)
    assert {stage: version for stage, (version, _) in before["music/low/tone00.wav"].items()} == {
        "fingerprint": "1",
        "embedding/bands": "bands-1",
        "embedding/half": "half-1",
    }
    for stage, rates in (("fingerprint", [11_025]), ("embedding/half", [HALF_RATE])):
        decoded_rates.clear()
        with soundalike.engine.begin() as connection:
            connection.execute(text("UPDATE analyses SET version = 'old' WHERE stage = :stage"), {"stage": stage})
            connection.execute(text("DELETE FROM analyses WHERE stage = :stage AND track_id % 2 = 0"), {"stage": stage})
        assert run(music, soundalike, *encoders).counts["indexed"] == 12
        assert decoded_rates == [rates] * 12
        after = analysed(soundalike)
        assert changed(before, after) == {stage}
        assert {version for stages in after.values() for version, _ in stages.values()} == {"1", "bands-1", "half-1"}
        before = after
    assert run(music, soundalike, *encoders).counts["unchanged"] == 12


def test_new_weights_encode_their_own_space_alone(
    music: Path, soundalike: Soundalike, bands: Encoder, half_bands: Encoder, decoded_rates: list[list[int]]
) -> None:
    run(music, soundalike, bands, half_bands)
    before = analysed(soundalike)
    decoded_rates.clear()
    newer = Encoder(half_bands.spec, Bands(), version="half-2", device=bands.device)
    assert run(music, soundalike, bands, newer).counts["indexed"] == 12
    assert decoded_rates == [[HALF_RATE]] * 12
    assert changed(before, analysed(soundalike)) == {"embedding/half"}
    assert soundalike.catalog.spaces() == {"bands": {"bands-1": 12}, "half": {"half-2": 12}}


def test_windows_encoded_together_are_those_encoded_alone(
    music: Path, bands: Encoder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = (1, 3, 2)
    tracks = [rng.uniform(-1, 1, (n, bands.spec.window_length)).astype(np.float32) for n in lengths]
    together = bands.encode_tracks(tracks)
    assert [len(encoding.embeddings) for encoding in together] == list(lengths)
    for windows, encoding in zip(tracks, together, strict=True):
        np.testing.assert_allclose(encoding.embeddings, bands.encode(windows).embeddings, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(encoding.tag_scores, bands.encode(windows).tag_scores, rtol=1e-4, atol=1e-6)


def test_a_file_that_cannot_be_encoded_fails_alone(
    music: Path, soundalike: Soundalike, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bands.encode
    bad = next(iter(sorted(music.rglob("*.wav"))))
    fault = bands.segment(decode(bad, sample_rates=[bands.spec.sample_rate], limits=LIMITS).waveforms[16_000]).windows

    def encode(windows: np.ndarray, *, batch_size: int | None = None) -> Encoding:
        if any(np.array_equal(window, fault[0]) for window in windows):
            raise RuntimeError("out of luck")
        return whole(windows, batch_size=batch_size)

    monkeypatch.setattr(bands, "encode", encode)
    report = run(music, soundalike, bands)
    assert dict(report.counts) == {"indexed": 11, "unchanged": 0, "failed": 1}
    assert reasons(soundalike) == {bad.name: ("encode", "RuntimeError: out of luck")}


class Counted:
    """An encoder's `encode` that refuses some windows, and counts how often each track came to it."""

    def __init__(self, encoder: Encoder, refused: int) -> None:
        self.whole, self.refused, self.calls = encoder.encode, refused, list[list[int]]()

    def __call__(self, windows: np.ndarray, *, batch_size: int | None = None) -> Encoding:
        loudest = windows.argmax(axis=1)
        self.calls.append(sorted(set(loudest.tolist())))
        if self.refused in loudest:
            raise RuntimeError("out of luck")
        return self.whole(windows, batch_size=batch_size)


def inputs_of(*loudest: int | None) -> list[TrackInput]:
    """Two windows of a tone each, and which of their samples is the loudest; or of silence."""
    sounds = []
    for place in loudest:
        sound = np.zeros(2 * BANDS.window_length, np.float32)
        if place is not None:
            sound += tone(220, 2.0, sample_rate=BANDS.sample_rate)
            sound[[0, -1]] = 0.1  # where a tone is zero, windows would begin later and end sooner
            sound[place :: BANDS.window_length] = 2
        sounds.append(sound)
    return [TrackInput(DecodedAudio({BANDS.sample_rate: sound}, 2.0)) for sound in sounds]


def test_what_fails_together_is_encoded_alone_once(bands: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(bands, refused=5)
    monkeypatch.setattr(bands, "encode", counted)
    results = EmbeddingStage(bands).run(inputs_of(3, 5, None, 7))
    assert counted.calls == [[3, 5, 7], [3], [5], [7]]
    good, bad, silent, also_good = results
    assert isinstance(good, StageResult), good
    assert isinstance(also_good, StageResult), also_good
    assert (str(bad), str(silent)) == ("encode: RuntimeError: out of luck", "segment: silent in every window of 1.00 s")
    (alone,) = EmbeddingStage(bands).run(inputs_of(3))
    assert isinstance(alone, StageResult)
    np.testing.assert_array_equal(good.rows[0].track_vector, alone.rows[0].track_vector)
    counted.calls.clear()
    assert isinstance(EmbeddingStage(bands).run(inputs_of(5))[0], StageError)
    assert counted.calls == [[5]]


def test_the_first_encoder_that_tags_gives_the_tags(bands: Encoder, half_bands: Encoder) -> None:
    audio = [DecodedAudio({rate: tone(220, 3.0, sample_rate=rate) for rate in (HALF_RATE, BANDS.sample_rate)}, 3.0)]
    stages = [EmbeddingStage(bands), EmbeddingStage(half_bands)]
    (track,) = run_stages(stages, [track_of(audio[0], stages)])
    kinds = {name: [type(row) for row in result.rows] for name, result in track.results.items()}
    assert kinds == {"embedding/bands": [SpaceEmbedding, TagScores], "embedding/half": [SpaceEmbedding]}


class Step(Stage):
    """Notes what it was given, and fails on sound of one second."""

    sample_rates = (8_000,)

    def __init__(self, name: str, *needs: str, version: str = "1") -> None:
        self.name, self.needs, self.version = name, needs, version
        self.given: list[list[str]] = []
        self.titles: list[str | None] = []
        self.paths: list[Path | None] = []

    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        return each(self._analyse, tracks)

    def _analyse(self, track: TrackInput) -> StageResult:
        self.given.append(sorted(track.earlier))
        self.titles.append(track.tags.title)
        self.paths.append(track.path)
        if track.audio.duration_s == 1:
            raise StageError(self.name, "too short")
        return StageResult([], {self.name: 1.0})


def track_of(audio: DecodedAudio, stages: Sequence[Stage]) -> DecodedTrack:
    file = ScannedFile(Path("/music/one.wav"), "music/one.wav", 0, 0)
    return DecodedTrack(file, "", FileTags(title="One"), audio, stages, {})


def test_a_stage_sees_the_tags_of_the_file_below_those_that_were_said(music: Path) -> None:
    path = music / "low" / "tone00.wav"
    (music / "low" / "album.json").write_text(
        '{"title": "Album", "tracks": [{"filename": "tone00.wav", "title": "T"}]}'
    )
    stage = Step("rhythm")
    file = ScannedFile(path, "k", path.stat().st_size, path.stat().st_mtime_ns)
    sent = replace(file, said=FileTags(title="Sent", year=1999))

    decoder = Decoding(lambda file, rates: decode(file.path, sample_rates=rates, limits=LIMITS))
    (given,) = run_stages([stage], [prepare(sent, [stage], decoder)])
    assert isinstance(given, DecodedTrack)
    assert given.tags == FileTags(title="Sent", album="Album", year=1999)
    prepare(file, [stage], decoder)
    assert (stage.titles, stage.paths) == (["Sent", "T"], [path, path])


def test_what_a_stage_needs_runs_before_it_and_with_it() -> None:
    stages = [Step("rhythm"), Step("chords"), Step("structure", "rhythm"), Step("highlight", "structure")]
    current = {stage.name: "1" for stage in stages}

    def names(versions: Mapping[str, str]) -> list[str]:
        return [stage.name for stage in outdated(stages, versions)]

    assert names(current) == []
    assert names({}) == ["rhythm", "chords", "structure", "highlight"]
    assert names(current | {"chords": "0"}) == ["chords"]
    assert names(current | {"rhythm": "0"}) == ["rhythm", "structure", "highlight"]  # made from what was old
    assert names(current | {"highlight": "0"}) == ["rhythm", "structure", "highlight"]  # made from what is not read


def test_a_track_that_fails_in_a_stage_goes_no_further() -> None:
    stages = first, second = [Step("first"), Step("second", "first")]
    audio = [DecodedAudio({}, duration_s) for duration_s in (3.0, 1.0, 2.0)]
    waiting = [track_of(audio[0], stages), track_of(audio[1], stages), track_of(audio[2], [second])]
    one, failed, other = run_stages(stages, waiting)
    assert str(failed) == "first: too short"
    assert (first.given, second.given) == ([[], []], [["first"], []])
    assert (second.titles, second.paths) == (["One", "One"], [Path("/music/one.wav")] * 2)
    assert [list(track.results) for track in (one, other)] == [["first", "second"], ["second"]]
