"""The languages that a track may be sung in: ISO 639-1, and what language models know beside it (ISO 639-3).

The list is fixed, so that whether a filter is valid does not depend on what a catalogue holds.
"""

import difflib

UNKNOWN_LANGUAGE = "unknown"
"""Stands among languages for the share of the vocal time whose language is not known."""

SUGGESTIONS = 3

_NAMED = """
    aa Afar; ab Abkhazian; ae Avestan; af Afrikaans; ak Akan; am Amharic; an Aragonese; ar Arabic; as Assamese;
    av Avaric; ay Aymara; az Azerbaijani; ba Bashkir; be Belarusian; bg Bulgarian; bi Bislama; bm Bambara; bn Bengali;
    bo Tibetan; br Breton; bs Bosnian; ca Catalan; ce Chechen; ch Chamorro; co Corsican; cr Cree; cs Czech;
    cu Church Slavonic; cv Chuvash; cy Welsh; da Danish; de German; dv Divehi; dz Dzongkha; ee Ewe; el Greek;
    en English; eo Esperanto; es Spanish; et Estonian; eu Basque; fa Persian; ff Fulah; fi Finnish; fj Fijian;
    fo Faroese; fr French; fy Frisian; ga Irish; gd Scottish Gaelic; gl Galician; gn Guarani; gu Gujarati; gv Manx;
    ha Hausa; haw Hawaiian; he Hebrew; hi Hindi; ho Hiri Motu; hr Croatian; ht Haitian Creole; hu Hungarian;
    hy Armenian; hz Herero; ia Interlingua; id Indonesian; ie Interlingue; ig Igbo; ii Sichuan Yi; ik Inupiaq; io Ido;
    is Icelandic; it Italian; iu Inuktitut; ja Japanese; jv Javanese; ka Georgian; kg Kongo; ki Kikuyu; kj Kuanyama;
    kk Kazakh; kl Greenlandic; km Khmer; kn Kannada; ko Korean; kr Kanuri; ks Kashmiri; ku Kurdish; kv Komi;
    kw Cornish; ky Kyrgyz; la Latin; lb Luxembourgish; lg Ganda; li Limburgish; ln Lingala; lo Lao; lt Lithuanian;
    lu Luba-Katanga; lv Latvian; mg Malagasy; mh Marshallese; mi Maori; mk Macedonian; ml Malayalam; mn Mongolian;
    mr Marathi; ms Malay; mt Maltese; my Burmese; na Nauru; nb Norwegian Bokmål; nd North Ndebele; ne Nepali;
    ng Ndonga; nl Dutch; nn Norwegian Nynorsk; no Norwegian; nr South Ndebele; nv Navajo; ny Chichewa; oc Occitan;
    oj Ojibwa; om Oromo; or Odia; os Ossetian; pa Punjabi; pi Pali; pl Polish; ps Pashto; pt Portuguese; qu Quechua;
    rm Romansh; rn Rundi; ro Romanian; ru Russian; rw Kinyarwanda; sa Sanskrit; sc Sardinian; sd Sindhi;
    se Northern Sami; sg Sango; si Sinhala; sk Slovak; sl Slovenian; sm Samoan; sn Shona; so Somali; sq Albanian;
    sr Serbian; ss Swati; st Sotho; su Sundanese; sv Swedish; sw Swahili; ta Tamil; te Telugu; tg Tajik; th Thai;
    ti Tigrinya; tk Turkmen; tl Tagalog; tn Tswana; to Tongan; tr Turkish; ts Tsonga; tt Tatar; tw Twi; ty Tahitian;
    ug Uyghur; uk Ukrainian; ur Urdu; uz Uzbek; ve Venda; vi Vietnamese; vo Volapük; wa Walloon; wo Wolof; xh Xhosa;
    yi Yiddish; yo Yoruba; yue Cantonese; za Zhuang; zh Chinese; zu Zulu
"""
_ENTRIES = (entry.strip().partition(" ") for entry in " ".join(_NAMED.split()).split(";"))

LANGUAGES = {code: name for code, _, name in _ENTRIES}
"""English names by code."""


def is_language(code: str) -> bool:
    """Whether a share may be that of this language, or of none that is known."""
    return code in LANGUAGES or code == UNKNOWN_LANGUAGE


def language_name(code: str) -> str:
    """The English name of a language; the code itself where it has none here."""
    return LANGUAGES.get(code, code)


def nearest_languages(given: str) -> list[str]:
    """Codes that may be meant by what is none: a name or the beginning of one, a country's code, a code misspelt."""
    word = given.strip().casefold()
    if not word:
        return ["en", "es", "ja"]  # nothing is near to nothing: examples
    by_name = {name.casefold(): code for code, name in LANGUAGES.items()}
    tag = word.replace("_", "-").partition("-")[0]  # zh-CN
    exact = by_name.get(word) or (tag if tag in LANGUAGES else None)
    if exact is not None:
        return [exact]
    near = [by_name[name] for name in difflib.get_close_matches(word, by_name, n=SUGGESTIONS)]
    near += [code for name, code in by_name.items() if name.startswith(word)]
    near += [code for name, code in by_name.items() if _abbreviates(word, name)]
    near += difflib.get_close_matches(word, [*LANGUAGES, UNKNOWN_LANGUAGE], n=SUGGESTIONS, cutoff=0)
    return list(dict.fromkeys(near))[:SUGGESTIONS]


def _abbreviates(word: str, name: str) -> bool:
    """Whether a word is its name's first letter and others of it, in their order: jp and jpn of Japanese."""
    letters = iter(name)
    return word[:1] == name[0] and all(letter in letters for letter in word)
