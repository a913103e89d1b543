import numpy as np
import pytest

from encoders.models.language.codes import INDEX, UNKNOWN
from encoders.models.language.lines import Lyrics, LyricsLine
from encoders.models.language.lyrics import share_lyrics
from tests.encoders.models.language.songs import SONGS


@pytest.mark.parametrize("language", SONGS)
def test_a_song_is_in_its_language(language: str) -> None:
    shares = share_lyrics(Lyrics.from_text(SONGS[language]).lines)
    assert shares is not None
    assert shares.shares[language] > 0.7
    assert shares.probabilities[INDEX[language]] > 0.7
    assert shares.probabilities.sum() == pytest.approx(1)
    assert sum(shares.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("languages", [("en", "fr"), ("ja", "en"), ("de", "tr"), ("pl", "ru")])
def test_two_languages_share_by_their_letters(languages: tuple[str, str]) -> None:
    texts = [SONGS[language] for language in languages]
    shares = share_lyrics(Lyrics.from_text("\n[Chorus]\n".join(texts)).lines)
    assert shares is not None
    weights = np.array([sum(map(str.isalpha, text)) * (3 if "さ" in text else 1) for text in texts])
    for language, share in zip(languages, weights / weights.sum(), strict=True):
        assert shares.shares[language] == pytest.approx(share, abs=0.12)


def test_times_make_spans() -> None:
    lines = [LyricsLine(text, 10.0 + 4 * index) for index, text in enumerate(SONGS["en"].split("\n"))]
    start = 40.0
    lines += [
        LyricsLine("", 26.0),
        *(LyricsLine(text, start + 3 * i) for i, text in enumerate(SONGS["fr"].split("\n"))),
    ]
    shares = share_lyrics(lines)
    assert shares is not None
    assert [(span.language, span.start_s) for span in shares.spans] == [("en", 10.0), ("fr", start)]
    assert shares.spans[0].end_s == 26.0
    assert all(span.probability >= 0.6 for span in shares.spans)


def test_without_times_there_are_no_spans() -> None:
    shares = share_lyrics(Lyrics.from_text(SONGS["de"]).lines)
    assert shares is not None
    assert shares.spans == ()


@pytest.mark.parametrize("text", ["", "[Chorus]\nla la la\n\nOh oh oh", "♪\n♪", "Instrumental"])
def test_without_words_there_are_no_shares(text: str) -> None:
    assert share_lyrics(Lyrics.from_text(text).lines) is None


def test_a_line_that_is_no_language_stays_unknown() -> None:
    shares = share_lyrics(Lyrics.from_text("xq").lines)
    assert shares is not None
    assert shares.shares == {UNKNOWN: 1.0}


def test_another_script_in_latin_letters_stays_unknown() -> None:
    text = (
        "raghupati raghava rajaram\npatita pavana sitaram\nsitaram sitaram\nbhaj pyare tu sitaram\n"
        "ishwar allah tero naam\nsabko sanmati de bhagavan"
    )
    shares = share_lyrics(Lyrics.from_text(text).lines)
    assert shares is not None
    assert shares.shares.get(UNKNOWN, 0) > 0.6
