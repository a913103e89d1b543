"""One clean tag list out of the two that MusiCNN was trained on.

The Million Song Dataset's tags (Last.fm) and MagnaTagATune's overlap, and name one thing in several ways ("female",
"woman", "female voice"). Here every thing has one name, as most music catalogues spell it. Left out are words that
judge rather than describe (beautiful, catchy, sexy, weird), and decades and oldies, which new music cannot be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.models.embeddings.musicnn import MSD_TAGS, MTT_TAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def merged(msd_scores: NDArray[np.float32], mtt_scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of `TAGS` from both models' scores.

    The names of one thing within one model are synonyms that share its listeners between them, so the largest counts;
    where both models know a thing, their mean does.

    Parameters
    ----------
    msd_scores, mtt_scores : float32 [n, 50] in [0, 1], in the order of ``MSD_TAGS`` and ``MTT_TAGS``

    Returns
    -------
    float32 [n, len(TAGS)] in [0, 1]
    """
    sources = ((msd_scores, MSD_TAGS, MSD_NAMES), (mtt_scores, MTT_TAGS, MTT_NAMES))
    columns = []
    for tag in TAGS:
        said = [
            scores[:, [known.index(name) for name in names[tag]]].max(axis=1)
            for scores, known, names in sources
            if tag in names
        ]
        columns.append(np.mean(said, axis=0))
    return np.stack(columns, axis=1).astype(np.float32)
