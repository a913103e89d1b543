"""A text's language by its letters: py3langid behind the scripts, as calibrated log-probabilities.

py3langid (Lui & Baldwin, ACL 2012; the fork of Barbaresi) is naive Bayes over sequences of bytes, its scores divided by
the square root of the length. They are sharpened here by what fits held-out texts best. Languages that it does not know
get what their script leaves them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from encoders.models.language.codes import CODES, INDEX, normal_code
from encoders.models.language.romanised import with_romanised
from encoders.models.language.scripts import main_script, script_likelihoods

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_LETTERS: Final = 4000
_SHARPNESS: Final = 1.5
# No letters rule a language out: words are quoted, misspelt, or spelt otherwise.
_FLOOR: Final = 1e-5
# Chinese and Japanese share their signs, and without kana Japanese is rare in texts but common in titles.
_HAN_SHARPNESS: Final = 0.25
# What the identifier does not know looks to it like a relative; where the script does not tell, it stays open.
_RELATIVES: Final = {"yi": ("he", 1.0), "sd": ("ur", 1.0), "su": ("jv", 0.5)}


def identify(text: str) -> NDArray[np.float32]:
    """Log-probabilities [languages] of the language that a text is written in, each as likely as another before.

    A text without letters gets a flat answer.
    """
    text = text[:_MAX_LETTERS]
    if not main_script(text):
        return np.full(len(CODES), -np.log(len(CODES)), np.float32)
    sequences = _by_sequences(text.lower())
    if main_script(text) == "han":
        sequences = sequences**_HAN_SHARPNESS
    written = sequences * script_likelihoods(text)
    written = with_romanised(text, written / written.sum()) + _FLOOR
    log_probabilities: NDArray[np.float32] = np.log(written / written.sum()).astype(np.float32)
    return log_probabilities


def _by_sequences(text: str) -> NDArray[np.float64]:
    """Probabilities [languages] by sequences of bytes, at least the floor."""
    probabilities = np.zeros(len(CODES))
    for spelling, probability in _model().rank(text):
        code = normal_code(spelling)
        if code:
            probabilities[INDEX[code]] += probability**_SHARPNESS
    for code, (relative, share) in _RELATIVES.items():
        probabilities[INDEX[code]] = share * probabilities[INDEX[relative]]
    total = probabilities.sum()
    return (probabilities / total if total else probabilities) + _FLOOR


@lru_cache(maxsize=1)
def _model() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
