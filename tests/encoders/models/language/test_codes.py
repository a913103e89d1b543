import pytest

from encoders.models.language.codes import CODES, INDEX, LANGUAGES, PRIOR, UNKNOWN, normal_code

# What a model of speech may name (Radford et al., 2022).
WHISPER = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml"
    " cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd"
    " gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)


def test_every_language_of_whisper_has_a_code() -> None:
    assert [spelling for spelling in WHISPER.split() if normal_code(spelling) is None] == []


def test_a_code_stands_for_itself_and_has_one_name_and_place() -> None:
    assert all(normal_code(code) == code and CODES[INDEX[code]] == code for code in CODES)
    assert all(normal_code(name) == code for code, name in LANGUAGES.items())
    assert UNKNOWN not in LANGUAGES


def test_the_prior_is_a_distribution() -> None:
    assert PRIOR.shape == (len(CODES),)
    assert PRIOR.min() > 0
    assert PRIOR.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("pt-BR", "pt"),
        ("zh_Hant_TW", "zh"),
        ("yue", "zh"),
        ("nb", "no"),
        ("nn", "no"),
        ("fil", "tl"),
        ("iw", "he"),
        ("jw", "jv"),
        ("GER", "de"),
        (" English (US)", "en"),
        ("日本語", "ja"),
    ],
)
def test_spellings_of_one_language(spelling: str, code: str) -> None:
    assert normal_code(spelling) == code


@pytest.mark.parametrize("spelling", ["", "und", "zxx", "mul", "XXX", "klingon", "-", "e"])
def test_no_language(spelling: str) -> None:
    assert normal_code(spelling) is None
