import pytest

from encoders.models.language.codes import CODES
from encoders.models.language.scripts import main_script, script_likelihoods


def possible(text: str) -> set[str]:
    """Languages that are as likely as the likeliest."""
    likelihoods = script_likelihoods(text)
    return {code for code, likelihood in zip(CODES, likelihoods, strict=True) if likelihood == likelihoods.max()}


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("さくら", {"ja"}),
        ("君の名は", {"ja"}),
        ("桜", {"ja"}),  # a form of the sign that only Japan writes
        ("東京", {"ja", "zh"}),
        ("我们说", {"zh"}),
        ("愛的の詩", {"ja"}),
        ("아리랑", {"ko"}),
        ("Їжак", {"uk"}),
        ("Ђорђе", {"sr"}),
        ("ไทย", {"th"}),
        ("Ελλάδα", {"el"}),
        ("שלום", {"he"}),
        ("וואָס איז", {"yi"}),
        ("गीत", {"hi", "mr", "ne", "sa"}),
        ("ټول", {"ps"}),
    ],
)
def test_letters_leave_these_languages(text: str, languages: set[str]) -> None:
    assert possible(text) == languages


@pytest.mark.parametrize("text", ["", "123 …", "♪", "ꦗꦮ"])
def test_letters_of_no_known_script_say_nothing(text: str) -> None:
    assert possible(text) == set(CODES)


def test_one_kana_is_an_ornament_among_many_han() -> None:
    assert main_script("鮮の每日優質牛奶茶飲專門店台北") == "han"
    assert main_script("夢の中") == "kana"
