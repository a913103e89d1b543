import pytest

from encoders.models.language.romanised import pinyin, romaji


@pytest.mark.parametrize("text", ["Kimi no na wa", "Ue wo muite arukō", "Kōjō no tsuki", "noyama mo sato mo"])
def test_japanese_in_latin_letters(text: str) -> None:
    assert romaji(text) > 0.6


@pytest.mark.parametrize("text", ["Sakura", "Roma", "Sahara"])
def test_one_word_stays_open(text: str) -> None:
    assert 0.05 < romaji(text) < 0.6


@pytest.mark.parametrize(
    "text", ["Für Elise", "Les feuilles mortes", "Wind of change", "Il mio canto", "さくら", "", "42"]
)
def test_other_spellings_are_no_romaji(text: str) -> None:
    assert romaji(text) == 0


def test_chinese_in_latin_letters() -> None:
    assert pinyin("Yue liang dai biao wo de xin") > 0.5
    assert pinyin("Yuè liàng dài biǎo") > 0.3
    assert pinyin("Wind of change") == 0
