"""The languages that an answer may name, in a fixed order, and every spelling of a code that stands for one of them.

The list holds Whisper's languages (Radford et al., 2022) and a few more that the identifier of texts knows. Codes are
ISO 639-1; Hawaiian has none there and keeps its ISO 639-3 code. Written norms of one spoken language are one here:
Bokmål and Nynorsk are `no`. All of Chinese is `zh`, Cantonese too, whose songs are written in the standard language.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

UNKNOWN: Final = "unknown"

# ISO 639-1, the three-letter codes (ISO 639-2/T, 639-2/B and members of a macrolanguage), English name.
_TABLE: Final = """
af afr              Afrikaans
am amh              Amharic
ar ara,arb,arz,ary,apc,acm Arabic
as asm              Assamese
az aze,azj,azb      Azerbaijani
ba bak              Bashkir
be bel              Belarusian
bg bul              Bulgarian
bn ben              Bengali
bo bod,tib          Tibetan
br bre              Breton
bs bos              Bosnian
ca cat              Catalan
cs ces,cze          Czech
cy cym,wel          Welsh
da dan              Danish
de deu,ger,gsw,bar  German
el ell,gre          Greek
en eng              English
eo epo              Esperanto
es spa              Spanish
et est,ekk          Estonian
eu eus,baq          Basque
fa fas,per,pes,prs  Persian
fi fin              Finnish
fo fao              Faroese
fr fra,fre          French
fy fry              West Frisian
ga gle              Irish
gd gla              Scottish Gaelic
gl glg              Galician
gu guj              Gujarati
ha hau              Hausa
haw haw             Hawaiian
he heb              Hebrew
hi hin              Hindi
hr hrv              Croatian
ht hat              Haitian Creole
hu hun              Hungarian
hy hye,arm          Armenian
id ind              Indonesian
ig ibo              Igbo
is isl,ice          Icelandic
it ita              Italian
ja jpn              Japanese
jv jav              Javanese
ka kat,geo          Georgian
kk kaz              Kazakh
km khm              Khmer
kn kan              Kannada
ko kor              Korean
ku kur,kmr,ckb      Kurdish
ky kir              Kyrgyz
la lat              Latin
lb ltz              Luxembourgish
lg lug              Ganda
ln lin              Lingala
lo lao              Lao
lt lit              Lithuanian
lv lav,lvs          Latvian
mg mlg              Malagasy
mi mri,mao          Maori
mk mkd,mac          Macedonian
ml mal              Malayalam
mn mon,khk          Mongolian
mr mar              Marathi
ms msa,may,zsm      Malay
mt mlt              Maltese
my mya,bur          Burmese
ne nep,npi          Nepali
nl nld,dut          Dutch
no nor,nob,nno      Norwegian
oc oci              Occitan
om orm              Oromo
or ori,ory          Odia
pa pan              Punjabi
pl pol              Polish
ps pus,pst          Pashto
pt por              Portuguese
qu que              Quechua
ro ron,rum          Romanian
ru rus              Russian
rw kin              Kinyarwanda
sa san              Sanskrit
sd snd              Sindhi
si sin              Sinhala
sk slk,slo          Slovak
sl slv              Slovenian
sn sna              Shona
so som              Somali
sq sqi,alb          Albanian
sr srp              Serbian
st sot              Southern Sotho
su sun              Sundanese
sv swe              Swedish
sw swa,swh          Swahili
ta tam              Tamil
te tel              Telugu
tg tgk              Tajik
th tha              Thai
tk tuk              Turkmen
tl tgl,fil          Tagalog
tr tur              Turkish
tt tat              Tatar
ug uig              Uyghur
uk ukr              Ukrainian
ur urd              Urdu
uz uzb,uzn          Uzbek
vi vie              Vietnamese
xh xho              Xhosa
yi yid,ydd          Yiddish
yo yor              Yoruba
zh zho,chi,cmn,yue,wuu,nan,hak Chinese
zu zul              Zulu
"""
_ROWS: Final = tuple(
    (code, three.split(","), name) for code, three, name in (line.split(None, 2) for line in _TABLE.split("\n") if line)
)

LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({code: name for code, _, name in _ROWS})
"""English names by code."""

CODES: Final = tuple(LANGUAGES)
"""All codes, in the order of every vector over languages."""

INDEX: Final[Mapping[str, int]] = MappingProxyType({code: index for index, code in enumerate(CODES)})

_SPELLINGS: Final = (
    {name.lower(): code for code, _, name in _ROWS}
    | {three: code for code, threes, _ in _ROWS for three in threes}
    | {code: code for code in CODES}
    | {"nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "sh": "sr", "fil": "tl"}
    | {"mandarin": "zh", "cantonese": "zh", "castilian": "es", "flemish": "nl", "farsi": "fa", "filipino": "tl"}
    | {"bokmål": "no", "nynorsk": "no", "deutsch": "de", "français": "fr", "español": "es", "italiano": "it"}
    | {"português": "pt", "日本語": "ja", "中文": "zh", "한국어": "ko", "русский": "ru"}
)


def normal_code(spelling: str) -> str | None:
    """The code of `LANGUAGES` for a code (`pt-BR`, `nb`, `fil`, `ger`) or an English name; none where it is no such."""
    plain = spelling.strip().lower().replace("_", "-")
    return _SPELLINGS.get(plain) or _SPELLINGS.get(re.split(r"[-;,/ (]", plain)[0])


# Where nothing is known of a song: rough shares of recorded music, flattened, since a collection may be of any country.
_COMMON: Final = {
    "en": 0.16,
    **dict.fromkeys(("es", "ja", "fr", "de", "pt", "zh"), 0.04),
    **dict.fromkeys(("it", "ko", "ru"), 0.028),
    **dict.fromkeys(("hi", "ar", "tr", "pl", "sv", "nl", "fi", "id", "vi", "th", "el", "uk"), 0.013),
}


def _prior() -> NDArray[np.float32]:
    rest = (1 - sum(_COMMON.values())) / (len(CODES) - len(_COMMON))
    return np.array([_COMMON.get(code, rest) for code in CODES], np.float32)


PRIOR: Final = _prior()
"""Probabilities [languages] before anything is known of a track."""
