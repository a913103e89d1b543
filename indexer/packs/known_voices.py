"""The packages whose voices `indexer.packs.voices` fetches: where each keeps them, and who speaks which language.

Recorded people, under free licences. Licences are those of the voices, as the package's ``copyright`` file gives them;
what was found in Debian 12 stands in ``encoders/weights/VOICES.md``.

Left out, since nobody speaks the language that the folder is named after: Drascula's Italian edition, whose voices are
the English ones, and Hedgewars' ``Russian_pl``, which sounds Russian. Folders of another script or spelling
(``sr@latin``) are passed over: they hold the recordings of the language itself once more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VoiceFolder:
    """Where a package keeps voices, and how a file's path tells who speaks.

    Attributes
    ----------
    pattern : of the files under `path`, as of `pathlib.Path.glob`
    naming : regular expression of a whole path under `path`; its groups ``language`` and ``speaker`` say both, in place
        of `language` and `speaker`. What it does not match is no voice
    raw_rate : Hz, of headerless samples of 8 bits; 0 for files that say themselves what they are
    """

    package: str
    path: str
    pattern: str = "**/*.ogg"
    naming: str = ".*"
    language: str = ""
    speaker: str = ""
    raw_rate: int = 0


@dataclass(frozen=True)
class VoicePack:
    """Voices under one name. Sizes are approximate."""

    name: str
    description: str
    licence: str
    download_mb: int
    folders: tuple[VoiceFolder, ...]


# Beeps, silence and tones lie among the prompts.
_PROMPT = r"(?!.*(beep|silence|ascending|monkeys|screams|ring|tone|moh)).*"
_LANGUAGE = r"(?P<language>[a-z]{2})(_[A-Za-z]+)?"
_SOUNDS = "usr/share/asterisk/sounds"
_HEDGEWARS = "usr/share/games/hedgewars/Data/Sounds/voices"
_FISH = r"[^/]+/(?P<language>cs|nl)/[^-]+-(?P<speaker>m|v)-.*"
# The hero's lines have a number alone; the others' begin with letters of their own; F and S are effects.
_CAST = r"(?![FS]\d)(?P<speaker>[A-Z]*)\d+\.ALS"


def _asterisk(language: str, folder: str, speaker: str) -> VoicePack:
    package = f"asterisk-core-sounds-{language}-wav"
    voices = VoiceFolder(package, f"{_SOUNDS}/{folder}", "**/*.wav", _PROMPT, language, speaker)
    return VoicePack(f"asterisk-core-sounds-{language}", "Telephone prompts", "CC-BY-SA-3.0", 20, (voices,))


def _prompts(name: str, language: str, speaker: str, folder: str, licence: str, suffix: str = "gsm") -> VoicePack:
    package = name if suffix == "gsm" else f"{name}-{suffix}"
    voices = VoiceFolder(package, f"{_SOUNDS}/{folder}", f"**/*.{suffix}", _PROMPT, language, speaker)
    return VoicePack(name, "Telephone prompts", licence, 2 if suffix == "gsm" else 19, (voices,))


def _hedgewars(folder: str, language: str) -> VoiceFolder:
    groans = r"(?!(Ow|Ooff|Jump|Nooo|Laugh|Poison|Firepunch|Kamikaze)).*"
    return VoiceFolder("hedgewars-data", f"{_HEDGEWARS}/{folder}", "*.ogg", groans, language, folder.lower())


def _drascula(package: str, language: str) -> VoiceFolder:
    folder = f"usr/share/scummvm/drascula/{language}"
    return VoiceFolder(package, folder, "*.ALS", _CAST, language, raw_rate=11_025)


_ALL_PACKS = (
    _asterisk("en", "en_US_f_Allison", "allison"),
    _asterisk("es", "es_MX_f_Allison", "allison"),
    _asterisk("fr", "fr_CA_f_June", "june"),
    _asterisk("it", "it_IT_m_Carlo", "carlo"),
    _asterisk("ru", "ru_RU_f_IvrvoiceRU", "ivrvoice"),
    _prompts("asterisk-prompt-es-co", "es", "es-co", "es", "GPL-2+"),
    _prompts("asterisk-prompt-fr-armelle", "fr", "armelle", "fr", "GPL-2+"),
    _prompts("asterisk-prompt-it-menardi", "it", "menardi", "it_IT_f_Menardi", "CC-BY-SA-3.0", "wav"),
    *(
        VoicePack(
            f"fillets-ng-data-{language}",
            "Puzzle game, two fishes talk",
            "GPL-2+",
            36,
            (VoiceFolder(f"fillets-ng-data-{language}", "usr/share/games/fillets-ng/sound", naming=_FISH),),
        )
        for language in ("cs", "nl")
    ),
    VoicePack(
        "tuxpaint-stamps-default",
        "Painting for children, a volunteer a language tells what is painted",
        "GPL-2",
        120,
        (VoiceFolder("tuxpaint-stamps-default", "usr/share/tuxpaint/stamps", naming=rf".*_desc_{_LANGUAGE}\.ogg"),),
    ),
    VoicePack(
        "drascula",
        "Adventure, ten characters in each of two languages",
        "free to share, the game not to be sold",
        52,
        (_drascula("drascula", "en"), _drascula("drascula-spanish", "es")),
    ),
    VoicePack(
        "hedgewars-data",
        "Artillery game, short shouts",
        "GPL-2",
        145,
        (
            *(_hedgewars(f"Default_{language}", language) for language in ("es", "pl", "ru", "uk")),
            *(_hedgewars(name, "en") for name in ("British", "Default", "HillBilly", "Mobster", "Pirate", "Surfer")),
        ),
    ),
    VoicePack(
        "klettres-data",
        "Letters and syllables for children",
        "GPL-2+",
        30,
        (VoiceFolder("klettres-data", "usr/share/klettres", naming=rf"{_LANGUAGE}/.*"),),
    ),
    VoicePack(
        "ktuberling-data",
        "Words for children",
        "GPL-2+",
        30,
        (VoiceFolder("ktuberling-data", "usr/share/ktuberling/sounds", "**/*.*", rf"{_LANGUAGE}/.*\.(ogg|wav)"),),
    ),
    VoicePack(
        "qabcs-data",
        "Words and letters for children",
        "GPL-3+",
        30,
        (VoiceFolder("qabcs-data", "usr/share/qabcs/abcs", "**/*.*", rf"{_LANGUAGE}/.*\.(ogg|mp3|wav)"),),
    ),
    VoicePack(
        "gcin-voice",
        "Mandarin syllables, two people",
        "GPL-3 or LGPL-3, CC-BY-3.0",
        20,
        (VoiceFolder("gcin-voice", "usr/share/gcin-voice/ogg", naming=r"[^/]+/(?P<speaker>\d+)\.ogg", language="zh"),),
    ),
)
VOICE_PACKS = {pack.name: pack for pack in _ALL_PACKS}

_ALSO_READ = ("bn", "fa", "hi", "hr", "mr", "ro", "sl", "ta", "te")  # what Wesnoth says little in
TEXT_PACKAGES = ("wesnoth-1.16-data", *(f"libreoffice-l10n-{code}" for code in _ALSO_READ))
"""Debian packages whose translated dialogue and hints a synthesiser reads out; no word of theirs is kept."""
