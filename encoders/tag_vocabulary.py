"""One clean tag list out of the two that MusiCNN was trained on.

The Million Song Dataset's tags (Last.fm) and MagnaTagATune's overlap, and name one thing in several ways ("female",
"woman", "female voice"). Here every thing has one name, as most music catalogues spell it. Left out are words that
judge rather than describe (beautiful, catchy, sexy, weird), and decades and oldies, which new music cannot be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MSD_NAMES: dict[str, tuple[str, ...]] = {
    "rock": ("rock",),
    "alternative rock": ("alternative rock",),
    "indie rock": ("indie rock",),
    "classic rock": ("classic rock",),
    "hard rock": ("hard rock",),
    "progressive rock": ("Progressive rock",),
    "metal": ("metal",),
    "heavy metal": ("heavy metal",),
    "punk": ("punk",),
    "pop": ("pop",),
    "indie pop": ("indie pop",),
    "alternative": ("alternative",),
    "indie": ("indie",),
    "electronic": ("electronic", "electronica"),
    "electro": ("electro",),
    "house": ("House",),
    "dance": ("dance",),
    "party": ("party",),
    "hip hop": ("Hip-Hop",),
    "r&b": ("rnb",),
    "soul": ("soul",),
    "funk": ("funk",),
    "blues": ("blues",),
    "jazz": ("jazz",),
    "country": ("country",),
    "folk": ("folk",),
    "acoustic": ("acoustic",),
    "ambient": ("ambient",),
    "experimental": ("experimental",),
    "chillout": ("chillout", "chill"),
    "mellow": ("Mellow",),
    "easy listening": ("easy listening",),
    "happy": ("happy",),
    "sad": ("sad",),
    "instrumental": ("instrumental",),
    "female vocals": ("female vocalists", "female vocalist"),
    "male vocals": ("male vocalists",),
    "guitar": ("guitar",),
}
"""Our tag → what MusiCNN's MSD model calls it."""

MTT_NAMES: dict[str, tuple[str, ...]] = {
    "rock": ("rock",),
    "metal": ("metal",),
    "pop": ("pop",),
    "electronic": ("electronic",),
    "techno": ("techno",),
    "dance": ("dance",),
    "country": ("country",),
    "ambient": ("ambient",),
    "new age": ("new age",),
    "classical": ("classical", "classic"),
    "opera": ("opera",),
    "indian": ("indian",),
    "instrumental": ("no vocals", "no vocal", "no voice"),
    "vocals": ("vocal", "vocals", "singing", "voice"),
    "female vocals": ("female", "woman", "female vocal", "female voice"),
    "male vocals": ("male", "man", "male vocal", "male voice"),
    "choir": ("choir", "choral"),
    "guitar": ("guitar",),
    "piano": ("piano",),
    "harpsichord": ("harpsichord",),
    "strings": ("strings",),
    "violin": ("violin",),
    "cello": ("cello",),
    "harp": ("harp",),
    "flute": ("flute",),
    "sitar": ("sitar",),
    "synth": ("synth",),
    "drums": ("drums",),
    "beat": ("beat", "beats"),
    "solo": ("solo",),
    "slow": ("slow",),
    "fast": ("fast",),
    "loud": ("loud",),
    "quiet": ("quiet",),
    "soft": ("soft",),
}
"""Our tag → what MusiCNN's MagnaTagATune model calls it."""

TAGS: tuple[str, ...] = tuple(dict.fromkeys([*MSD_NAMES, *MTT_NAMES]))

OPPOSITES: tuple[frozenset[str], ...] = tuple(
    frozenset(pair)
    for pair in (
        ("fast", "slow"),
        ("loud", "quiet"),
        ("loud", "soft"),
        ("happy", "sad"),
        ("instrumental", "vocals"),
        ("instrumental", "female vocals"),
        ("instrumental", "male vocals"),
    )
)
"""Tags that nothing has both of."""


def agreeing(tags: Iterable[str]) -> list[str]:
    """The tags in their order, without those that contradict one before them."""
    kept: list[str] = []
    for tag in tags:
        if not any({tag, one} in OPPOSITES for one in kept):
            kept.append(tag)
    return kept


# fmt: off
MUSICNN_MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)
MUSICNN_MTT_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)
"""What MusiCNN's two models call their tags, in the order of their logits."""
# In the order of the release's tag list (src/msd_config.py of the authors' repository).
PUBLISHED_MSD_TAGS = (
    "rock", "pop", "indie", "alternative", "electronic", "hip-hop", "metal", "jazz", "punk", "folk",
    "alternative rock", "indie rock", "dance", "hard rock", "00s", "soul", "hardcore", "80s", "country",
    "classic rock", "punk rock", "blues", "chillout", "experimental", "heavy metal", "death metal", "90s", "reggae",
    "progressive rock", "ambient", "acoustic", "beautiful", "british", "rnb", "funk", "metalcore", "mellow", "world",
    "guitar", "trance", "indie pop", "christian", "house", "spanish", "latin", "psychedelic", "electro", "piano",
    "70s", "progressive metal",
)
# fmt: on
"""The same of the published tagging transformer."""

KNOWN_TAGS: frozenset[str] = frozenset((*TAGS, *MUSICNN_MSD_TAGS, *MUSICNN_MTT_TAGS, *PUBLISHED_MSD_TAGS))
"""Every tag that a registered encoder may give a track."""
