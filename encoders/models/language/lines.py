"""Lines of lyrics, and which of their words are words: everything that is not sung, or that means nothing, is cut.

Markers of sections, time stamps, credits and syllables without a meaning ("la la la") would count for a language that
nobody sings: "[Chorus]" is English in lyrics of any language.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class LyricsLine:
    """A line as it stands in the lyrics, and when it starts, where that is known."""

    text: str
    start_s: float | None = None


@dataclass(frozen=True)
class Lyrics:
    """Lyrics in the order they are sung; `language` is what they say of themselves, as it was written."""

    lines: tuple[LyricsLine, ...]
    language: str | None = None

    @classmethod
    def from_text(cls, text: str, language: str | None = None) -> Lyrics:
        """Lyrics without times."""
        return cls(tuple(LyricsLine(line) for line in text.splitlines()), language)


# Names of sections, alone on a line or with a number, a colon or a name behind them.
_SECTION: Final = re.compile(
    r"(?:(?:pre|post)[- ]?)?(?:chorus|verse|bridge|intro|outro|refrain|hook|interlude|break(?:down)?|solo|coda|tag|drop"
    r"|couplet|strophe|refrão|verso|ponte|estribillo|coro|estrofa|puente|ritornello|strofa|vers|refräng|kertosäe"
    r"|zwrotka|refren|припев|куплет|мост|サビ|副歌|主歌|前奏|間奏|间奏|尾奏|간주|후렴)"
    r"(?:\s*[\d.IVXivx]+)?(?:\s*[:(\[x×].*)?|(?:x\s*\d+|\d+\s*x)",
    re.IGNORECASE,
)
_CREDIT: Final = re.compile(
    r"(?:lyrics?|words|music|written|composed|composer|lyricist|arrange[dr]|arrangement|produced|producer|performed|sung"
    r"|vocals?|translat(?:ed|ion)|transcribed|subtitles?|artist|album|title|author|copyright|©|\(c\)|paroles|musique|text"
    r"|musik|letra|música|musica|testo|parole|слова|музыка|作词|作詞|作曲|编曲|編曲|词|曲|歌手|演唱|歌|制作人|작사|작곡|편곡)"
    r"(?:\s+(?:by|and|&|et|und|y|e|и|music|words|lyrics)\b[^:：]*)?\s*(?:[:：=/／]|\bby\b|\bvon\b|\bde\b(?=.*[:：])).*"
    r"|.*(?:https?://|www\.|@\w+\.|all rights reserved).*",
    re.IGNORECASE,
)
_BRACKETED: Final = re.compile(r"\[[^\]]*\]|【[^】]*】|<[^>]*>|\{[^}]*\}|\*[^*]*\*|♪|♫")
_INSTRUMENTAL: Final = re.compile(
    r"[\W_]*(?:(?:this (?:song|track|piece) is (?:an? )?)?instrumental(?: (?:track|version|only|piece|song))?"
    r"|no (?:lyrics|vocals)"
    r"|strumentale|instrumentale?|инструментал(?:ьная композиция)?|纯音乐(?:[,，]?请欣赏)?|純音樂(?:[,，]?請欣賞)?"
    r"|此歌曲为没有填词的纯音乐.*|インスト(?:ゥルメンタル)?|연주곡)[\W_]*",
    re.IGNORECASE,
)
# Words of sounds alone: "la", "oooh", "yeah" and "hey" are sung in every language; so are repetitions of one syllable.
_SOUND: Final = re.compile(
    r"(?:l+[aáàâ]+h*|n+a+h*|d+[aou]+h*|d+[ou]+m+|t+r+a+|p+a+|b+a+h*|s+h+a+|r+a+h*|w+h?o+a*h*|wo+w+|o+h*|a+h*|e+h*|u+h*"
    r"|h+[aeiou]+h*|h*m+|y+e+a*h*|y+[aou]+h*|y+o+|ay+|a*ye+|hey+|doo+|woo+|ooh+|aah+|uuh+|mh+m+|shoo+|do+p|bop|shubi|doobie?"
    r"|dooby|dum|d[io]ng|b[io]ng|bim|bam|bum|tra|tralala|lalala\w*|nanana\w*|ok|okay|ха+|ла+|на+|о+|а+|эй|ой|хей"
    r"|ラ+|ら+|ナ+|ア+ー*|オ+ー*|ウ+ー*|ah?|啦+|啊+|噢+|哦+|라+|나+|아+|오+)",
    re.IGNORECASE,
)
_REPEATED: Final = re.compile(r"(\w{1,3}?)\1{2,}")
# Sounds that are words somewhere: sounds only where they are repeated, or where nothing else is sung.
_ALSO_WORD: Final = re.compile(
    r"[aàoóeéаоà]|l[aàá]|n[aà]|d[ao]|h[aeiou]|a[yh]|y[eo]|pa|ba|sha|ra|[пнд]а", re.IGNORECASE
)
_BREAKS: Final = re.compile(r"[\s\-–—~.,;:!?…\"“”„«»()（）/、。，！？]+")


def sung_words(line: str) -> str:
    """What of a line tells a language: without markers, credits, times and meaningless syllables; often empty."""
    plain = unicodedata.normalize("NFC", _BRACKETED.sub(" ", line)).strip()
    bare = plain.strip(" -–—:.()（）")
    if _SECTION.fullmatch(bare) or _CREDIT.fullmatch(bare) or _INSTRUMENTAL.fullmatch(plain):
        return ""
    words = [word for word in _BREAKS.split(plain) if any(letter.isalpha() for letter in word)]
    sounds = [bool(_SOUND.fullmatch(word) or _REPEATED.fullmatch(word.lower())) for word in words]
    if all(sounds):
        return ""
    folded = ["", *(word.lower() for word in words), ""]
    return " ".join(
        word
        for index, (word, sound) in enumerate(zip(words, sounds, strict=True), start=1)
        if not sound or (_ALSO_WORD.fullmatch(word) and folded[index] not in (folded[index - 1], folded[index + 1]))
    )


def says_instrumental(texts: Iterable[str]) -> bool:
    """Whether all there is to read is a statement that nothing is sung."""
    said = [text for text in texts if text.strip()]
    return any(_INSTRUMENTAL.fullmatch(text.strip()) for text in said) and not any(sung_words(text) for text in said)
