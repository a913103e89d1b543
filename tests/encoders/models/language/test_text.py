import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.models.language.codes import CODES, INDEX, PRIOR
from encoders.models.language.lines import Lyrics
from encoders.models.language.text import TextLanguage, TrackText, read_text
from tests.encoders.models.language.songs import SONGS


def probability(answer: TextLanguage, language: str) -> float:
    return float(np.exp(answer.log_probabilities[INDEX[language]]))


def test_nothing_written_is_flat_and_leaves_the_prior() -> None:
    answer = read_text(TrackText())
    assert answer.log_likelihoods == pytest.approx(np.full(len(CODES), -np.log(len(CODES))), abs=1e-5)
    assert np.exp(answer.log_probabilities) == pytest.approx(PRIOR, abs=1e-5)
    assert answer.certainty == pytest.approx(0, abs=1e-5)
    assert answer.sources == ()
    assert answer.lyrics is None
    assert not answer.instrumental


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(), st.text(), st.text(), st.text(max_size=12))
def test_any_text_gives_distributions(title: str, artist: str, album: str, lyrics: str, language: str) -> None:
    answer = read_text(TrackText(title, artist, album, Lyrics.from_text(lyrics, language), language))
    for values in (answer.log_likelihoods, answer.log_probabilities):
        assert np.exp(values).sum() == pytest.approx(1, abs=1e-3)
    assert 0 <= answer.certainty <= 1


@pytest.mark.parametrize("language", [language for language in SONGS if language != "en"])
def test_lyrics_are_strong(language: str) -> None:
    answer = read_text(TrackText(title="Summer Night", lyrics=Lyrics.from_text(SONGS[language])))
    assert answer.best[0] == language
    assert answer.best[1] > 0.8
    assert "lyrics" in answer.sources


def test_lyrics_are_bounded_for_they_may_be_a_translation() -> None:
    """A voice that is sure stands against all that is written."""
    for text in SONGS.values():
        answer = read_text(TrackText(title="Les feuilles mortes", language="fra", lyrics=Lyrics.from_text(text)))
        assert np.ptp(answer.log_likelihoods) < 8.6


@pytest.mark.parametrize(
    ("title", "language"),
    [
        ("さくら", "ja"),
        ("残酷な天使のテーゼ (A Cruel Angel's Thesis)", "ja"),
        ("아리랑", "ko"),
        ("Les feuilles mortes", "fr"),
    ],
)
def test_a_title_points_but_is_never_sure(title: str, language: str) -> None:
    answer = read_text(TrackText(title=title))
    assert answer.best[0] == language
    assert answer.best[1] < 0.8


def test_an_english_title_tells_little() -> None:
    answer = read_text(TrackText(title="Wind of change", artist="The Scorpions", album="Crazy world"))
    english, japanese = (answer.log_likelihoods[INDEX[code]] for code in ("en", "ja"))
    assert 0 < english - japanese < 3


@pytest.mark.parametrize("title", ["Sakura", "Kimi no na wa", "Furusato", "Hikari", "Toki no nagare"])
def test_a_japanese_title_in_latin_letters_is_no_other_language(title: str) -> None:
    answer = read_text(TrackText(title=title))
    likeliest = answer.log_likelihoods.max()
    assert answer.log_likelihoods[INDEX["ja"]] >= likeliest - 0.7
    assert max(probability(answer, code) for code in ("it", "en", "es", "sw", "id")) < 0.5


def test_what_every_song_may_be_called_says_nothing() -> None:
    for title in ("Track 01", "07", "Remix (feat. Ana María)", "Live"):
        assert read_text(TrackText(title=title)).sources == ()


def test_the_files_own_statement_outweighs_its_title() -> None:
    answer = read_text(TrackText(title="Les feuilles mortes", language="jpn"))
    assert answer.best[0] == "ja"
    assert read_text(TrackText(language="ger")).best[0] == "de"
    assert read_text(TrackText(language="und")).sources == ()


def test_a_version_is_a_statement() -> None:
    assert read_text(TrackText(title="Hello (Japanese Version)")).best[0] == "ja"


def test_the_language_code_of_lyrics_is_weak() -> None:
    """Programs write "eng" into every file."""
    answer = read_text(TrackText(lyrics=Lyrics.from_text(SONGS["fi"], "eng")))
    assert answer.best[0] == "fi"


@pytest.mark.parametrize(
    "text",
    [
        TrackText(title="Moonlight (Instrumental)"),
        TrackText(title="Lied - Karaoke Version"),
        TrackText(lyrics=Lyrics.from_text("[Instrumental]")),
        TrackText(language="zxx"),
    ],
)
def test_nothing_is_sung(text: TrackText) -> None:
    assert read_text(text).instrumental


def test_lyrics_with_words_are_sung_whatever_the_title_says() -> None:
    assert not read_text(TrackText("Song (Instrumental)", lyrics=Lyrics.from_text(SONGS["en"]))).instrumental
