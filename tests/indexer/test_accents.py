"""Accents lie where sound begins, are louder where it is, and come back from the catalogue as they were."""

from pathlib import Path

import numpy as np
import pytest

from api.wiring import Soundalike
from encoders.analysis.accents import AccentTracker
from encoders.analysis.music import MusicAnalysis, accents
from encoders.encoder import Encoder
from encoders.media.decode import decode
from encoders.models.music.spectra import Listener
from indexer.stages.registry import Analyses
from retrieval.catalog.heard.moments import moments_of
from tests.conftest import tone
from tests.indexer.test_music_stages import ACCENTS, BEAT_S, Halves, Humming, Metronome
from tests.indexer.test_pipeline import run

RATE = 22_050


@pytest.fixture(scope="module")
def tracker() -> AccentTracker:
    return AccentTracker(Listener())


def test_onsets_are_where_tones_begin_and_loudness_follows_them(tracker: AccentTracker) -> None:
    waveform, dying = np.zeros(6 * RATE, np.float32), np.linspace(1, 0, RATE // 2, dtype=np.float32)
    for start_s, level in ((1.0, 0.1), (2.5, 0.3), (4.2, 0.8)):
        first = round(start_s * RATE)
        waveform[first : first + RATE // 2] = level * tone(440, 0.5, sample_rate=RATE) * dying
    found = accents(tracker, waveform)
    strongest = np.sort(np.argsort(found.onsets)[-3:]) / found.rate
    np.testing.assert_allclose(strongest, [1.0, 2.5, 4.2], atol=0.06)
    quiet, louder, loudest, silent = (found.loudness[round(at * found.rate)] for at in (1.25, 2.75, 4.45, 3.5))
    assert silent < quiet < louder < loudest
    assert len(found.onsets) == len(found.loudness) == 151


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros(3 * RATE, np.float32), tone(440, 0.3)])
def test_silence_and_what_is_too_short_have_none(tracker: AccentTracker, waveform: np.ndarray) -> None:
    found = accents(tracker, waveform)
    assert (len(found.onsets), len(found.loudness)) == (0, 0)


def test_moments_of_several_tracks_come_back_as_they_were_heard(
    music: Path, soundalike: Soundalike, bands: Encoder
) -> None:
    here = Analyses(music=MusicAnalysis(Metronome(), Halves(), Humming(), ACCENTS))
    run(music / "low", soundalike, bands, analyses=here)
    track = soundalike.catalog.track("low/tone03.wav")
    (found,) = moments_of(soundalike.engine, [track.id, 10_000]).values()
    heard = ACCENTS.track(decode(Path(track.uri), sample_rates=[RATE]).waveforms[RATE])
    assert found.accents is not None
    np.testing.assert_allclose(found.accents.onsets, heard.onsets, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(found.accents.loudness, heard.loudness, atol=0.5 / 255 + 1e-6)
    assert (found.duration_s, found.tempo_bpm, found.accents.rate) == (track.duration_s, 120.0, heard.rate)
    np.testing.assert_allclose(np.diff(found.beats_s), BEAT_S)
    np.testing.assert_array_equal(found.downbeats_s, found.beats_s[::3])
    assert found.sections_s[0] == 0
    assert len(found.sections_s) == 2


def test_a_track_that_nobody_listened_to_has_no_moments(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    run(music / "low", soundalike, bands)
    (found,) = moments_of(soundalike.engine, [soundalike.catalog.track("low/tone03.wav").id]).values()
    assert (found.accents, len(found.beats_s), len(found.sections_s), found.tempo_bpm) == (None, 0, 0, None)
