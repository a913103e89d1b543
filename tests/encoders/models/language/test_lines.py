import pytest

from encoders.models.language.lines import Lyrics, LyricsLine, says_instrumental, sung_words


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[Chorus]",
        "Verse 1:",
        "Pre-Chorus (x2)",
        "Refrain 2x",
        "(Bridge)",
        "Lyrics by: John Smith",
        "Words: traditional",
        "作词：某人",
        "Paroles: Jean",
        "https://example.org",
        "La la la, la-la",
        "Na na na na",
        "Oh oh oh yeah",
        "ラララ",
        "[00:12.00]",
        "♪ ♪",
        "1999",
        "(Instrumental)",
    ],
)
def test_what_is_not_sung_in_a_language(line: str) -> None:
    assert sung_words(line) == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Oh yeah, je t'aime", "je t'aime"),
        ("la noche", "la noche"),
        ("O sole mio", "O sole mio"),
        ("Ha llegado la hora", "Ha llegado la hora"),
        ("Tag für Tag", "Tag für Tag"),
        ("music is my life", "music is my life"),
        ("Bridge over water", "Bridge over water"),
        ("[Verse] Alle Vögel sind schon da", "Alle Vögel sind schon da"),
        ("हिन्दी गीत", "हिन्दी गीत"),
    ],
)
def test_what_is(line: str, words: str) -> None:
    assert sung_words(line) == words


def test_a_statement_that_nothing_is_sung() -> None:
    assert says_instrumental(["", "[Instrumental]"])
    assert says_instrumental(["纯音乐，请欣赏"])
    assert not says_instrumental(["Instrumental", "Row, row, row your boat"])
    assert not says_instrumental(["an instrumental part of me"])
    assert not says_instrumental([])


def test_plain_text_has_no_times() -> None:
    assert Lyrics.from_text("one\n\ntwo", "en") == Lyrics((LyricsLine("one"), LyricsLine(""), LyricsLine("two")), "en")
