"""The languages of lyrics, line by line: shares of all that is sung, and spans where the lines have times.

A line is short, so its language is inferred with its neighbours': a hidden Markov model over lines, whose languages
change seldom and then to one that the lyrics have elsewhere (its shares are re-estimated twice from all lines).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from encoders.models.language.codes import CODES, INDEX, UNKNOWN
from encoders.models.language.identifier import identify
from encoders.models.language.lines import sung_words
from encoders.models.language.scripts import count_scripts, main_script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from encoders.models.language.lines import LyricsLine

MAX_LINES: Final = 400
_STAY: Final = 0.7
_ROUNDS: Final = 2
_EVIDENCE: Final = 0.8
# Mean probability of a language in single lines: nearly all lyrics that are in it reach the second.
_NO_SUPPORT: Final = 0.35
_SUPPORT: Final = 0.55
_USUAL_SUPPORT: Final = 0.7
_USUAL_LINES: Final = 3
# Languages whose lines are taken for each other's.
_SIBLINGS: Final = tuple(
    [INDEX[code] for code in group]
    for group in (("bs", "hr", "sr"), ("id", "ms"), ("cs", "sk"), ("da", "no", "sv"), ("es", "gl", "ca"), ("xh", "zu"))
)
_SURE: Final = 0.6
# A line without a successor, or before a solo, does not last until the next.
_MAX_LINE_S: Final = 8.0
_S_PER_LETTER: Final = 0.08


@dataclass(frozen=True)
class LyricsSpan:
    """A stretch of time whose lines are in one language; `language` is a code or "unknown", `probability` in [0, 1]."""

    start_s: float
    end_s: float
    language: str
    probability: float


@dataclass(frozen=True)
class LyricsShares:
    """What is written in which language.

    `probabilities` float64 [languages]: expected shares, adding up to 1. `written` float64 [languages]: the mean of
    those and of what all lines say as one text, which is less often sure of what is wrong. `shares`: by code, largest
    first, where lines that are unsure count as "unknown". `spans`: in the order of time, of lines with times alone.
    """

    probabilities: NDArray[np.float64]
    written: NDArray[np.float64]
    shares: Mapping[str, float]
    spans: tuple[LyricsSpan, ...]


def share_lyrics(lines: Sequence[LyricsLine]) -> LyricsShares | None:
    """Shares of the languages of lyrics; none where no line has words."""
    worded = [(line, words) for line in lines[:MAX_LINES] if (words := sung_words(line.text))]
    if not worded:
        return None
    alone = np.stack([identify(words) for _, words in worded])
    latin = np.array([main_script(words) == "latin" for _, words in worded])
    posteriors, trust = _trusted(smoothed(alone), np.exp(alone), latin)
    letters = np.array([max(count_scripts(words).total(), 1) for _, words in worded], np.float64)
    weights = letters / letters.sum()
    ends = _ends([line.start_s for line, _ in worded], [line.start_s for line in lines[:MAX_LINES]], letters)
    probabilities = weights @ posteriors
    as_one = np.exp(identify("\n".join(words for _, words in worded)))
    as_one = (weights @ trust) * as_one + (1 - weights @ trust) / len(CODES)
    return LyricsShares(
        probabilities,
        (probabilities + as_one) / 2,
        _shares(posteriors, weights),
        _spans([line for line, _ in worded], ends, posteriors),
    )


def _trusted(
    posteriors: NDArray[np.float64], alone: NDArray[np.floating], latin: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flatten lines that bear each other out without any being sure alone; posteriors, and the trust in each [lines].

    So look languages that are spelt in Latin letters but have another script, and those that the identifier has not
    learnt: one answer for all of it, with next to nothing for it in a single line.
    """
    trust = np.ones(len(posteriors))
    best = posteriors.argmax(axis=1)
    for language in np.unique(best[latin]):
        lines = latin & (best == language)
        alike = next((group for group in _SIBLINGS if language in group), [language])
        # A few lines may be short ones by chance.
        support = (alone[lines][:, alike].sum() + _USUAL_SUPPORT * _USUAL_LINES) / (lines.sum() + _USUAL_LINES)
        trust[lines] = np.clip((support - _NO_SUPPORT) / (_SUPPORT - _NO_SUPPORT), 0, 1)
    return trust[:, None] * posteriors + (1 - trust[:, None]) / posteriors.shape[1], trust


def smoothed(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Posteriors [lines, languages] of lines from what each says alone (log-probabilities of the same shape)."""
    evidence = np.exp(_EVIDENCE * (log_probabilities - log_probabilities.max(axis=1, keepdims=True))).astype(np.float64)
    shares = np.full(evidence.shape[1], 1 / evidence.shape[1])
    posteriors: NDArray[np.float64] = evidence
    for _ in range(_ROUNDS):
        posteriors = _forward_backward(evidence, shares)
        shares = posteriors.mean(axis=0) + 1e-6
        shares /= shares.sum()
    return posteriors


def _forward_backward(evidence: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """A change goes to any language by its share, so a step costs no more than a sum."""
    forward, backward = np.empty_like(evidence), np.ones_like(evidence)
    state = shares
    for index, said in enumerate(evidence):
        state = said * (state if index == 0 else _STAY * state + (1 - _STAY) * shares)
        state = forward[index] = state / state.sum()
    for index in range(len(evidence) - 2, -1, -1):
        onward = evidence[index + 1] * backward[index + 1]
        state = _STAY * onward + (1 - _STAY) * float(onward @ shares)
        backward[index] = state / state.sum()
    posteriors = forward * backward
    result: NDArray[np.float64] = posteriors / posteriors.sum(axis=1, keepdims=True)
    return result


def _shares(posteriors: NDArray[np.float64], weights: NDArray[np.float64]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for posterior, weight in zip(posteriors, weights, strict=True):
        language = _named(posterior)[0]
        shares[language] = shares.get(language, 0.0) + float(weight)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _named(posterior: NDArray[np.float64]) -> tuple[str, float]:
    index = int(posterior.argmax())
    probability = float(posterior[index])
    return (CODES[index] if probability >= _SURE else UNKNOWN), probability


def _ends(
    starts: Sequence[float | None], all_starts: Sequence[float | None], letters: NDArray[np.float64]
) -> list[float | None]:
    """When each line with words is over: where the next begins, words or not, but not long after it can be sung."""
    times = sorted({start for start in all_starts if start is not None})
    following = dict(pairwise(times))
    return [
        None
        if start is None
        else min(following.get(start, np.inf), start + max(_MAX_LINE_S, _S_PER_LETTER * float(count)))
        for start, count in zip(starts, letters, strict=True)
    ]


def _spans(
    lines: Sequence[LyricsLine], ends: Sequence[float | None], posteriors: NDArray[np.float64]
) -> tuple[LyricsSpan, ...]:
    spans: list[LyricsSpan] = []
    timed = [
        (line.start_s, end, *_named(posterior))
        for line, end, posterior in zip(lines, ends, posteriors, strict=True)
        if line.start_s is not None and end is not None
    ]
    for start, end, language, probability in sorted(timed):
        last = spans[-1] if spans else None
        if last and last.language == language and start <= last.end_s:
            spans[-1] = LyricsSpan(last.start_s, max(end, last.end_s), language, min(last.probability, probability))
        else:
            spans.append(LyricsSpan(start, end, language, probability))
    return tuple(spans)
