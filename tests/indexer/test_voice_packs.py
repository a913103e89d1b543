"""Packs of voices: what is taken out of a package, and who is said to speak in it. No package is downloaded."""

import re
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import PackError
from indexer.packs import voices
from indexer.packs.known_voices import TEXT_PACKAGES, VOICE_PACKS
from indexer.packs.voices import fetch_texts, fetch_voices

Unpacked = Callable[[dict[str, list[str]]], None]


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> Unpacked:
    """Let packages hold these files, each with its own name in it."""

    def hold(files: dict[str, list[str]]) -> None:
        def unpack(packages: list[str], debs: Path, trees: Path, *, otherwise: str) -> None:
            for package in packages:
                for file in [f"usr/share/doc/{package}/copyright", *files.get(package, [])]:
                    path = trees / package / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(file)

        monkeypatch.setattr(voices, "unpack_debs", unpack)

    return hold


@pytest.mark.parametrize(
    ("pack", "files", "said"),
    [
        (
            "klettres-data",
            [
                *("klettres/pt_BR/alpha/a.ogg", "klettres/nb/syllab/ba.ogg"),
                *("klettres/de.txt", "klettres/nds/a.ogg", "klettres/sr@latin/alpha/a.ogg"),
            ],
            [("no", "nb"), ("pt", "pt")],
        ),
        (
            "tuxpaint-stamps-default",
            ["tuxpaint/stamps/cat_desc_be.ogg", "tuxpaint/stamps/cat.ogg", "tuxpaint/stamps/cat_desc.ogg"],
            [("be", "be")],
        ),
        (
            "fillets-ng-data-cs",
            [f"games/fillets-ng/sound/city/cs/vit-{who}-proc.ogg" for who in ("m", "v", "hs")],
            [("cs", "m"), ("cs", "v")],
        ),
        (
            "asterisk-prompt-es-co",
            ["asterisk/sounds/es/agent-pass.gsm", "asterisk/sounds/es/beep.gsm", "asterisk/sounds/es/silence/1.gsm"],
            [("es", "es-co")],
        ),
        ("gcin-voice", ["gcin-voice/ogg/x3/3.ogg", "gcin-voice/ogg/x3/5.ogg"], [("zh", "3"), ("zh", "5")]),
        (
            "hedgewars-data",
            [
                f"games/hedgewars/Data/Sounds/voices/{name}"
                for folder in ("Default_es", "Default_pl", "Default_ru", "Default_uk", "Russian_pl", "British")
                for name in (f"{folder}/Hello.ogg", f"{folder}/Ow1.ogg")
            ]
            + [
                f"games/hedgewars/Data/Sounds/voices/{folder}/Hello.ogg"
                for folder in ("Default", "HillBilly", "Mobster", "Pirate", "Surfer", "Robot")
            ],
            [
                *(("es", "default_es"), ("pl", "default_pl"), ("ru", "default_ru"), ("uk", "default_uk")),
                *(("en", "british"), ("en", "default"), ("en", "hillbilly")),
                *(("en", "mobster"), ("en", "pirate"), ("en", "surfer")),
            ],
        ),
    ],
)
def test_who_speaks_which_language(
    pack: str, files: list[str], said: list[tuple[str, str]], unpacked: Unpacked, tmp_path: Path
) -> None:
    unpacked({pack: [f"usr/share/{file}" for file in files]})
    recordings = fetch_voices(pack, tmp_path)
    assert sorted((one.language, one.speaker) for one in recordings) == sorted(said)
    assert {(one.source, one.licence) for one in recordings} == {(pack, VOICE_PACKS[pack].licence)}
    assert all(one.path.is_file() for one in recordings)
    assert f"usr/share/doc/{pack}/copyright" in (tmp_path / pack / "LICENCE.txt").read_text()


def test_headerless_samples_become_files_that_say_what_they_are(unpacked: Unpacked, tmp_path: Path) -> None:
    folder = "usr/share/scummvm/drascula/es"
    spanish = [f"{folder}/{name}.ALS" for name in ("12", "VB3", "S2", "27X")]
    unpacked({"drascula": ["usr/share/scummvm/drascula/en/1.ALS"], "drascula-spanish": spanish})
    english, hero, other = fetch_voices("drascula", tmp_path)
    assert [(one.language, one.speaker) for one in (english, hero, other)] == [
        *(("en", "hero"), ("es", "hero"), ("es", "vb")),
    ]
    assert {one.source for one in (english, hero, other)} == {"drascula"}
    with wave.open(str(hero.path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (11_025, 1, 1)
        assert file.readframes(1000) == f"{folder}/12.ALS".encode()


def test_what_is_there_is_not_fetched_again(
    unpacked: Unpacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked({"gcin-voice": ["usr/share/gcin-voice/ogg/x3/3.ogg"]})
    first = fetch_voices("gcin-voice", tmp_path)
    monkeypatch.delattr(voices, "unpack_debs")
    assert fetch_voices("gcin-voice", tmp_path) == first


def test_another_version_of_a_package_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    unpacked({"gcin-voice": ["usr/share/elsewhere/3.ogg"]})
    with pytest.raises(PackError, match="gcin-voice holds no voice at usr/share/gcin-voice/ogg"):
        fetch_voices("gcin-voice", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_and_a_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PackError, match=r"'klettres'; did you mean 'klettres-data'\?"):
        fetch_voices("klettres", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PackError, match=r"apt-get is not on the PATH.*on Debian or Ubuntu"):
        fetch_voices("klettres-data", tmp_path)


def test_texts_are_sorted_by_locale(unpacked: Unpacked, tmp_path: Path) -> None:
    unpacked(
        {
            "wesnoth-1.16-data": ["usr/share/games/wesnoth/1.16/locale/de/LC_MESSAGES/wesnoth.mo"],
            "libreoffice-l10n-hi": ["usr/lib/libreoffice/program/resource/hi/LC_MESSAGES/cui.mo", "usr/lib/other.mo"],
        }
    )
    texts = fetch_texts(tmp_path)
    kept = sorted(path.relative_to(texts).as_posix() for path in texts.rglob("*.mo"))
    assert kept == ["de/wesnoth-1.16-data/wesnoth.mo", "hi/libreoffice-l10n-hi/cui.mo"]
    assert all(package in (texts / "LICENCE.txt").read_text() for package in TEXT_PACKAGES)


def test_every_pack_says_what_it_is_and_stands_in_the_table_of_licences() -> None:
    table = (Path(__file__).parents[2] / "encoders/weights/VOICES.md").read_text()
    for name, pack in VOICE_PACKS.items():
        assert pack.name == name
        assert pack.description
        assert re.search(rf"^\| {re.escape(name)} \|.*\| {re.escape(pack.licence)} \|", table, re.MULTILINE), name
        for folder in pack.folders:
            assert folder.language or "(?P<language>" in folder.naming
            re.compile(folder.naming)
