"""Fingerprints of real encodings by the real library, what ingest keeps of them, and life without the library."""

import logging
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

from api.wiring import Soundalike
from encoders.encoder import Encoder
from encoders.errors import FingerprintError
from encoders.media import fingerprint
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from indexer.jobs import IngestReport, index_folder
from indexer.uploads import Upload, index_upload
from retrieval.catalog import tables as models
from retrieval.search.query import Diversity, similar
from retrieval.search.versions import MIN_AGREEMENT, agreement
from tests.conftest import BANDS_RATE, tone

needs_library = pytest.mark.skipif(not fingerprint.is_available(), reason="libchromaprint is not installed")

NOTES_HZ = (220.0, 277.2, 329.6, 415.3, 493.9, 587.3)
RATE = 44_100


def melody(seed: int) -> NDArray[np.float32]:
    """Six notes, each four times, in an order of its own: 24 s that differ from others in nothing but that."""
    notes = np.random.default_rng(seed).permutation(np.repeat(NOTES_HZ, 4))
    return np.concatenate([tone(note, 1.0, sample_rate=RATE) for note in notes])


def encoded(path: Path, waveform: NDArray[np.float32], codec: str, bit_rate: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(waveform[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for one in (frame, None):
            container.mux(stream.encode(one))
    return path


def of_file(path: Path, sample_rate: int = BANDS_RATE) -> NDArray[np.int32]:
    audio = decode(path, sample_rates=[sample_rate])
    return fingerprint.fingerprint(audio.waveforms[sample_rate], sample_rate)


@pytest.fixture
def versions(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """One melody twice, the second time quieter, as an MP3; and another one of the same notes."""
    folder = tmp_path / "versions"
    write_wav(folder / "one.wav", melody(1), sample_rate=RATE)
    encoded(folder / "one again.mp3", 0.5 * melody(1), "libmp3lame", 64_000)
    write_wav(folder / "two.wav", melody(2), sample_rate=RATE)
    return folder


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As on a machine that has none; undo brings it back."""
    monkeypatch.setattr(fingerprint, "chromaprint", None)
    return monkeypatch


def run(folder: Path, here: Soundalike, encoder: Encoder) -> IngestReport:
    return index_folder(folder, [encoder], here.search, here.ledger, limits=MediaLimits(), decode_threads=2)


def stored(here: Soundalike) -> dict[str, NDArray[np.int32]]:
    tracks = here.catalog.list_tracks(after_id=0, limit=100)
    found = here.catalog.fingerprints_of([track.id for track in tracks])
    return {Path(track.key).name: found[track.id] for track in tracks if track.id in found}


def without_versions(here: Soundalike, *, include_seed: bool = True) -> tuple[list[str], dict[str, int]]:
    diversity = Diversity(fold_duplicates=True)
    query = similar("versions/one.wav", space="bands", include_seed=include_seed, diversity=diversity)
    answer = here.search.answer(query)
    return sorted(Path(result.track.key).name for result in answer.results), dict(answer.stats.dropped)


@needs_library
def test_every_encoding_of_a_recording_agrees(versions: Path) -> None:
    one, again, two = (of_file(versions / name) for name in ("one.wav", "one again.mp3", "two.wav"))
    assert one.dtype == np.int32
    assert len(one) / 24 == pytest.approx(8.08, abs=1.2)  # none for the first and last two seconds
    assert agreement(one, again) > 0.9
    assert agreement(one, two) < MIN_AGREEMENT
    for sample_rate in (fingerprint.SAMPLE_RATE, 22_050, RATE):
        assert agreement(one, of_file(versions / "one again.mp3", sample_rate)) > 0.9


@needs_library
def test_two_minutes_are_enough_and_three_seconds_too_few(rng: np.random.Generator) -> None:
    noise = rng.uniform(-1.5, 1.5, 130 * BANDS_RATE).astype(np.float32)
    two_minutes = fingerprint.fingerprint(noise[: 120 * BANDS_RATE], BANDS_RATE)
    assert len(two_minutes) > 900
    np.testing.assert_array_equal(fingerprint.fingerprint(noise, BANDS_RATE), two_minutes)
    assert fingerprint.fingerprint(noise[: 2 * BANDS_RATE], BANDS_RATE).shape == (0,)
    assert fingerprint.fingerprint(noise[:0], BANDS_RATE).shape == (0,)
    with pytest.raises(FingerprintError, match="refused 10 samples at 5 Hz"):
        fingerprint.fingerprint(noise[:10], 5)


@needs_library
def test_ingest_keeps_them_and_versions_are_folded_by_them(
    versions: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    report = run(versions, soundalike, bands)
    assert report.counts["indexed"] == 3
    assert report.seconds["fingerprint"] > 0
    kept = stored(soundalike)
    for name in ("one.wav", "one again.mp3", "two.wav"):
        np.testing.assert_array_equal(kept[name], of_file(versions / name))
    # All three sound alike, note for note, and last as long: the order of the notes tells them apart.
    assert without_versions(soundalike) == (["one.wav", "two.wav"], {"duplicate": 1})
    assert without_versions(soundalike, include_seed=False) == (["two.wav"], {"duplicate": 1})
    assert run(versions, soundalike, bands).counts["unchanged"] == 3


@needs_library
def test_an_upload_keeps_its_own(versions: Path, soundalike: Soundalike, bands: Encoder, tmp_path: Path) -> None:
    upload = Upload("mine", "one.wav", (versions / "one.wav").read_bytes())
    for expected in ("indexed", "unchanged"):
        outcome = index_upload(
            upload, [bands], soundalike.catalog, uploads_dir=tmp_path / "uploads", limits=MediaLimits()
        )
        assert outcome.status == expected
    np.testing.assert_array_equal(stored(soundalike)["mine"], of_file(versions / "one.wav"))


def test_without_the_library_sound_and_duration_decide(
    versions: Path,
    soundalike: Soundalike,
    bands: Encoder,
    without_library: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "indexer.stages.registry"):
        report = run(versions, soundalike, bands)
    assert dict(report.counts) == {"indexed": 3, "unchanged": 0, "failed": 0}
    assert "fingerprint" not in report.seconds
    assert [record.levelname for record in caplog.records if "no fingerprints" in record.message] == ["INFO"]
    with soundalike.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(models.fingerprints)).scalar() == 0
    names, dropped = without_versions(soundalike)
    assert (len(names), dropped) == (1, {"duplicate": 2})
    assert run(versions, soundalike, bands).counts["unchanged"] == 3
    with pytest.raises(FingerprintError, match="not installed"):
        fingerprint.fingerprint(melody(1), RATE)


@needs_library
def test_the_next_ingest_makes_up_for_what_was_missing(
    versions: Path, soundalike: Soundalike, bands: Encoder, without_library: pytest.MonkeyPatch
) -> None:
    run(versions, soundalike, bands)
    without_library.undo()
    without_library.setattr(bands, "segment", None)  # calling it would fail: nothing is encoded again
    assert run(versions, soundalike, bands).counts["indexed"] == 3
    assert len(stored(soundalike)) == 3
    assert soundalike.catalog.spaces() == {"bands": {"bands-1": 3}}
    assert without_versions(soundalike)[0] == ["one.wav", "two.wav"]
    assert run(versions, soundalike, bands).counts["unchanged"] == 3
