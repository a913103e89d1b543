"""Languages of a track, by an ear that knows them by their pitch: what is known to be there comes out."""

import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.languages import (
    FEWEST_LOOKS,
    MOST_LOOKS,
    SAMPLE_RATE,
    WINDOW_S,
    WITHOUT_WORDS,
    LanguageIdentifier,
    Languages,
    likelihoods,
)
from encoders.analysis.vocal_spans import Vocals, VocalSpan
from encoders.media.loudness import normalised
from encoders.models.language.codes import CODES, INDEX, UNKNOWN
from encoders.models.language.lines import Lyrics
from encoders.models.language.text import TextLanguage, TrackText, read_text
from indexer.lyrics import parse_lrc
from tests.encoders.models.language.songs import SONGS

Waveform = NDArray[np.float32]
# Languages that no ear names for a voice without words.
PITCHES_HZ = {"pl": 200, "fi": 400, "es": 800, "nl": 1600}
NOTHING = read_text(TrackText())


class Pitch:
    """Hears a tone of a language's own pitch as this language, noise as none of them, and silence as nobody."""

    version = "pitch"

    def __init__(self, certainty: float = 0.99) -> None:
        self.certainty = certainty
        self.heard: list[Waveform] = []

    def listen(self, window: Waveform) -> NDArray[np.float64]:
        self.heard.append(window)
        power = np.abs(np.fft.rfft(window.astype(np.float64))) ** 2
        probabilities = np.full(len(CODES) + 1, 1e-9)
        if power.sum() < 1e-6:
            probabilities[-1] = 1
        else:
            bins = np.fft.rfftfreq(len(window), 1 / SAMPLE_RATE)
            for code, hz in PITCHES_HZ.items():
                probabilities[INDEX[code]] += self.certainty * power[np.abs(bins - hz) < 20].sum() / power.sum()
            probabilities[:-1] += max(0.0, 1 - probabilities[:-1].sum()) / len(CODES)
        return np.log(probabilities)


def sung(*parts: tuple[str, float]) -> Waveform:
    """One language after the other, for so many seconds each; by the name of none, silence."""
    pieces = []
    for code, seconds in parts:
        times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        pieces.append(0.2 * np.sin(2 * np.pi * PITCHES_HZ.get(code, 0) * times))
    return np.concatenate(pieces).astype(np.float32)


def voices(*spans: tuple[float, float]) -> Vocals:
    return Vocals(tuple(VocalSpan(start, end, "singing", 0.9) for start, end in spans), 0.5, 0.0, 0.9)


def identified(
    ear: Pitch | None, waveform: Waveform, spans: Sequence[tuple[float, float]], said: TextLanguage = NOTHING
) -> Languages:
    found = LanguageIdentifier(ear).identify(waveform, voices(*spans), said)
    check(found)
    return found


def check(found: Languages) -> None:
    """What holds of every answer."""
    for ratios in (found.ratios, found.evidence.get("audio", {UNKNOWN: 1.0})):
        assert all(type(ratio) is float and 0 <= ratio <= 1 for ratio in ratios.values())
        if ratios:
            assert sum(round(10_000 * ratio) for ratio in ratios.values()) == 10_000
            assert sum(ratios.values()) == pytest.approx(1, abs=1e-12)
            assert list(ratios)[-1] == UNKNOWN
    assert 0 <= found.confidence <= 1
    assert all(0 <= span.confidence <= 1 and span.start_s < span.end_s for span in found.spans)
    assert all(one.end_s <= other.start_s for one, other in pairwise(found.spans))


@pytest.mark.parametrize(("seconds", "least"), [(24, 0.98), (60, 0.95), (240, 0.95), (900, 0.95), (3600, 0.95)])
def test_one_language_is_all_of_it_however_long_it_is(seconds: int, least: float) -> None:
    """Also where most windows lie far from those that were listened to."""
    found = identified(Pitch(), sung(("es", seconds)), [(0.0, float(seconds))])
    assert found.ratios["es"] > least
    assert found.confidence > least
    (span,) = found.spans
    assert (span.start_s, span.end_s, span.language) == (0.0, seconds, "es")
    assert set(found.evidence) == {"audio"}


@pytest.mark.parametrize(("first", "windows"), [("fi", 2), ("es", 3), ("pl", 5)])
def test_shares_that_are_known_come_out(first: str, windows: int) -> None:
    share = windows / MOST_LOOKS
    whole = MOST_LOOKS * WINDOW_S  # each window is listened to
    second = "nl"
    found = identified(Pitch(), sung((first, share * whole), (second, (1 - share) * whole)), [(0.0, whole)])
    assert found.ratios == {first: pytest.approx(share, abs=0.02), second: pytest.approx(1 - share, abs=0.02),
                            UNKNOWN: pytest.approx(0, abs=0.03)}  # fmt: skip
    assert [span.language for span in found.spans] == [first, second]


def test_shares_are_of_the_time_with_a_voice() -> None:
    waveform = sung(("fi", 18), ("", 80), ("es", 18), ("", 40))
    found = identified(Pitch(), waveform, [(0.0, 18.0), (98.0, 116.0)])
    assert found.ratios["fi"] == pytest.approx(0.5, abs=0.02)
    assert found.ratios["es"] == pytest.approx(0.5, abs=0.02)


def test_what_was_not_listened_to_is_as_its_neighbours_are() -> None:
    ear = Pitch()
    found = identified(ear, sung(("fi", 150), ("es", 150)), [(0.0, 300.0)])
    assert len(ear.heard) == MOST_LOOKS
    assert found.ratios["fi"] == pytest.approx(0.5, abs=0.15)
    assert found.ratios["es"] == pytest.approx(0.5, abs=0.15)
    assert [span.language for span in found.spans] == ["fi", "es"]


def test_it_listens_no_more_once_all_agree() -> None:
    ear = Pitch()
    identified(ear, sung(("fi", 120)), [(0.0, 120.0)])
    assert len(ear.heard) == FEWEST_LOOKS


def test_it_listens_to_each_window_once_and_to_no_more_than_there_are() -> None:
    ear = Pitch()
    identified(ear, sung(("fi", 6), ("es", 6), ("nl", 6), ("pl", 2)), [(0.0, 20.0)])
    assert sorted(len(window) for window in ear.heard) == [2 * SAMPLE_RATE, *[6 * SAMPLE_RATE] * 3]


def test_unknown_grows_as_the_ear_gets_less_sure() -> None:
    waveform = sung(("fi", 24), ("es", 24))
    unknown = [
        identified(Pitch(certainty), waveform, [(0.0, 48.0)]).ratios[UNKNOWN] for certainty in (0.99, 0.3, 0.02, 0.0)
    ]
    assert unknown == sorted(unknown)
    assert unknown[0] < 0.05
    assert unknown[-1] == 1


def test_a_voice_that_says_nothing_has_no_language() -> None:
    found = identified(Pitch(), np.zeros(30 * SAMPLE_RATE, np.float32), [(0.0, 30.0)])
    assert found.ratios == {UNKNOWN: 1.0}
    assert found.spans == ()


@pytest.mark.parametrize("spans", [[], [(0.0, 0.9)], [(0.0, 0.5), (20.0, 20.4)]])
def test_without_enough_of_a_voice_there_is_nothing_to_say(spans: list[tuple[float, float]]) -> None:
    ear = Pitch()
    found = identified(ear, sung(("fi", 30)), spans)
    assert (found.ratios, found.spans, found.evidence, ear.heard) == ({}, (), {}, [])


def test_spans_close_to_each_other_share_a_window() -> None:
    ear = Pitch()
    identified(ear, sung(("fi", 30)), [(1.0, 1.5), (2.0, 2.5), (3.0, 3.5)])
    (window,) = ear.heard
    assert len(window) == 2.5 * SAMPLE_RATE


def test_spans_beyond_the_end_are_heard_as_far_as_they_go() -> None:
    ear = Pitch()
    found = identified(ear, sung(("fi", 10)), [(0.0, 10.3), (30.0, 35.0)])
    assert found.ratios["fi"] > 0.6
    assert max(len(window) for window in ear.heard) == 6 * SAMPLE_RATE


def test_a_window_is_as_loud_as_the_whole_track_made_it() -> None:
    ear = Pitch()
    waveform = sung(("fi", 10)) * np.float32(0.01)
    identified(ear, waveform, [(2.0, 10.0)])
    np.testing.assert_array_equal(ear.heard[0], normalised(waveform, SAMPLE_RATE)[2 * SAMPLE_RATE : 8 * SAMPLE_RATE])


def test_no_answer_goes_beyond_one_by_rounding(rng: np.random.Generator) -> None:
    for _ in range(50):
        lengths = rng.uniform(1.0, 7.9, 3)
        starts = np.cumsum([0.0, *(lengths[:-1] + 9)])
        spans = [(float(start), float(start + length)) for start, length in zip(starts, lengths, strict=True)]
        parts = [part for code, length in zip(("fi", "es", "pl"), lengths, strict=True)
                 for part in ((code, float(length)), ("", 9.0))]  # fmt: skip
        identified(Pitch(1.0), sung(*parts), spans)


def test_ten_hours_are_chosen_from_as_a_song_is() -> None:
    """Of 4500 windows as many are heard as of a few, and no copy of the 2.3 GB of the track is made."""
    ear = Pitch()
    silent = np.broadcast_to(np.float32(0), 36_000 * SAMPLE_RATE)
    windows = [(8.0 * number, 8.0 * number + 7.0) for number in range(4_500)]
    tracemalloc.start()
    found = identified(ear, silent, windows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(ear.heard) == MOST_LOOKS
    assert found.ratios == {UNKNOWN: 1.0}
    assert peak < 200 * 2**20


# Words ----------------------------------------------------------------------------------------------------------------


def song(code: str) -> TrackText:
    return TrackText(lyrics=Lyrics.from_text(SONGS[code]))


def test_words_alone_tell_a_language() -> None:
    identifier = LanguageIdentifier(None)
    assert identifier.version == "1-text"
    found = identified(None, sung(("fi", 30)), [(0.0, 30.0)], read_text(song("es")))
    assert found.ratios["es"] > 0.7
    assert set(found.evidence) == {"text"}
    assert found.evidence["text"]["es"] > 0.9


def test_without_ear_and_words_it_is_unknown() -> None:
    found = identified(None, sung(("fi", 30)), [(0.0, 30.0)])
    assert found.ratios == {UNKNOWN: 1.0}
    assert found.evidence == {}


def test_a_sure_ear_stands_against_words_that_lie() -> None:
    found = identified(Pitch(), sung(("fi", 60)), [(0.0, 60.0)], read_text(song("es")))
    assert found.ratios["fi"] > 0.8
    assert found.evidence["text"]["es"] > 0.9
    assert found.evidence["audio"]["fi"] > 0.9


def test_words_decide_where_the_ear_is_in_doubt() -> None:
    doubtful = Pitch(0.03)
    alone = identified(doubtful, sung(("es", 24)), [(0.0, 24.0)])
    with_words = identified(doubtful, sung(("es", 24)), [(0.0, 24.0)], read_text(song("es")))
    assert alone.ratios.get("es", 0.0) < 0.5 < with_words.ratios["es"]


def test_lyrics_with_times_tell_when_each_language_is_sung() -> None:
    timed = [
        f"[0{minute}:{6 * number:02}.00]{SONGS[code].splitlines()[number % 3]}"
        for minute, code in enumerate(("es", "nl"))
        for number in range(8)
    ]
    said = read_text(TrackText(lyrics=parse_lrc("\n".join(timed))))
    found = identified(Pitch(0.0), sung(("fi", 108)), [(0.0, 48.0), (60.0, 108.0)], said)
    assert [span.language for span in found.spans] == ["es", "nl"]
    assert found.ratios["es"] == pytest.approx(0.5, abs=0.2)
    assert found.ratios["nl"] == pytest.approx(0.5, abs=0.2)


def test_a_sure_ear_stands_against_lyrics_with_times_that_lie() -> None:
    lines = [f"[00:{6 * number:02}.00]{SONGS['es'].splitlines()[number % 3]}" for number in range(8)]
    said = read_text(TrackText(lyrics=parse_lrc("\n".join(lines))))
    found = identified(Pitch(), sung(("fi", 48)), [(0.0, 48.0)], said)
    assert found.ratios["fi"] > 0.8
    assert "es" not in found.ratios


def test_likelihoods_say_what_an_ear_would_name_without_words() -> None:
    said = np.log(np.append(WITHOUT_WORDS, 0.5))
    heard = likelihoods(said)
    assert len(heard) == len(CODES) + 1
    assert WITHOUT_WORDS.sum() == pytest.approx(1)
    sure = np.full(len(CODES) + 1, 1e-9)
    for code in ("es", "la"):
        sure[:] = 1e-9
        sure[INDEX[code]] = 1
        of = likelihoods(np.log(sure))
        assert of[-1] == pytest.approx(WITHOUT_WORDS[INDEX[code]], rel=1e-3)
        assert of[INDEX[code]] == pytest.approx(0.6 + 0.4 * of[-1], rel=1e-3)
        assert of[INDEX["sw"]] == pytest.approx(0.4 * of[-1], rel=1e-3)
    # A language that is named without words as well needs more than one that is not.
    assert likelihoods(np.log(sure))[-1] > 10 * WITHOUT_WORDS[INDEX["es"]]
