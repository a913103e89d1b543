"""In which languages a track is sung or spoken, as shares of the time in which there is a voice.

Vocal time is cut into windows; some of them are listened to (:mod:`encoders.models.language.whisper`), spread over the
track, and more where those do not agree. What was heard is joined over time by a hidden Markov model whose states are
the languages, and one in which no words are understood; how common a state is comes from what is written of the track
(:mod:`encoders.models.language.text`). So either may be missing, a word weighs less than a voice, and a window that
nobody listened to is as its neighbours are.

A network that must name a language names some rather than others for a voice without clear words (Whisper: Latin,
Japanese, Javanese, English). That is what is heard in the state without words, so that those languages need better
evidence, and what is not sure is ``unknown``. The constants were chosen on voices and music that judge nothing
(`encoders.training.voices.parts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from encoders.acceleration import keep_freed_memory, one_core_each
from encoders.analysis.smoothing import posteriors
from encoders.media.loudness import gain_of
from encoders.models.language.codes import CODES, INDEX, PRIOR, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from encoders.analysis.vocal_spans import Vocals
    from encoders.models.language.text import TextLanguage
    from encoders.models.language.whisper import Whisper

SAMPLE_RATE = 16_000
WINDOW_S = 6.0
LEAST_VOCAL_S = 1.0
"""Of a window, and of a track: less is not enough to know a language by."""
FEWEST_LOOKS, MOST_LOOKS = 3, 7
"""How many windows are listened to: all where they are few, else fewest where those agree."""
_AGREED = 0.8
_MEAN_STAY_S = 20.0
"""Of a state, in a track of as many windows as are listened to at most."""
_PRIOR_POWER = 0.5
"""How far it counts how common a language is: catalogues differ, and rare ones are to be found too."""
_WORDLESS, _WORDLESS_LYRICS = 2.0, 0.1
"""How common it is that no words are understood, beside all languages together, and where there are lyrics."""
_RIGHT = 0.6
"""How often a window in a language is understood; else something is named as for a voice without clear words."""
_NAMED_WITHOUT_WORDS = {"la": 0.15, "ja": 0.11, "jv": 0.07, "en": 0.07, "fr": 0.03, "ko": 0.03, "de": 0.03}
SURE = 0.85
_MOST_WRITTEN = 7.0
"""How much more likely words can make a language than others are, in nats: they may be of another than is sung."""
_LEAST_SHARE = 0.04
_SAID_SHARE = 0.01
_TIMED = 6.0
"""How much likelier lyrics with times make their language in a window: less than a voice that is understood does."""
_PARTS = 10_000
"""Ratios are whole parts of this, so that they add up to 1."""


class Ear(Protocol):
    """What hears languages."""

    version: str

    def listen(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-probabilities float64 [languages + 1] of a window float32 [samples]; the last: that nobody speaks."""


class WhisperEar:
    """:class:`~encoders.models.language.whisper.Whisper` at work; safe to share between threads."""

    def __init__(self, network: Whisper, *, version: str, device: torch.device) -> None:
        self.version = version
        self._network = network.eval()
        network.prepare(device)
        self._device = device
        if device.type == "cpu":
            keep_freed_memory()

    def listen(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """As :class:`Ear`."""
        return one_core_each().submit(self._listen, window).result()

    def _listen(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        with torch.inference_mode():
            said: Tensor = self._network(torch.from_numpy(window)[None].to(self._device))[0]
        return said.double().cpu().numpy()


@dataclass(frozen=True)
class LanguageSpan:
    """Seconds [start, end) with voices in one language, and how sure that is."""

    start_s: float
    end_s: float
    language: str
    confidence: float


@dataclass(frozen=True)
class Languages:
    """The languages of a track.

    Attributes
    ----------
    ratios : share of the vocal time by code, `unknown` among them, adding up to 1; empty without voices
    confidence : mean probability, over the vocal time, of the likeliest language, or of no words
    spans : what `ratios` add up from, but for `unknown`
    evidence : what each source alone would say: ``audio``, ``text``
    """

    ratios: Mapping[str, float]
    confidence: float
    spans: tuple[LanguageSpan, ...]
    evidence: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class _Window:
    """Seconds [start, end), of which somebody sings or speaks for `vocal_s`."""

    start_s: float
    end_s: float
    vocal_s: float


class LanguageIdentifier:
    """Finds the languages of a track by ear and by what is written of it.

    Parameters
    ----------
    ear : none where its weights are not here: then only words count
    sure : how likely a language must be in a window to be named
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, ear: Ear | None, *, sure: float = SURE) -> None:
        self.ear = ear
        self._sure = sure
        self.version = "1-" + (ear.version if ear else "text")

    def identify(self, waveform: NDArray[np.float32], vocals: Vocals, said: TextLanguage) -> Languages:
        """Find the languages of a track, float32 [samples] at 16 kHz, where it has voices."""
        windows = _windows(vocals, len(waveform) / SAMPLE_RATE)
        if not windows:
            return Languages({}, vocals.confidence, (), {})
        timed, prior = _timed(windows, said), _written(said) if self.ear is None else _prior(said)
        heard = self._listen(waveform, windows, timed, prior)
        together = _joined(windows, heard * timed, prior)
        evidence = {}
        if self.ear is not None:
            evidence["audio"] = _ratios(windows, _joined(windows, heard, _prior(None)), self._sure)
        if said.sources:
            likely = np.exp(said.log_probabilities)
            evidence["text"] = {CODES[i]: round(float(likely[i]), 4) for i in np.flatnonzero(likely >= _SAID_SHARE)}
        vocal_s = np.array([window.vocal_s for window in windows])
        confidence = min(1.0, float(together.max(axis=1) @ vocal_s / vocal_s.sum()))  # rounding may go beyond
        ratios, spans = _ratios(windows, together, self._sure), _spans(windows, together, self._sure)
        return Languages(ratios, confidence, spans, evidence)

    def _listen(
        self,
        waveform: NDArray[np.float32],
        windows: Sequence[_Window],
        timed: NDArray[np.float64],
        prior: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Likelihoods [windows, languages + 1]; flat of windows that were not listened to."""
        heard = np.ones((len(windows), len(CODES) + 1))
        if self.ear is None:
            return heard
        gain = gain_of(waveform, SAMPLE_RATE)
        looked: list[int] = []
        fewest = len(windows) if len(windows) <= MOST_LOOKS else FEWEST_LOOKS
        for number in _spread(windows, MOST_LOOKS):
            window = windows[number]
            samples = slice(round(window.start_s * SAMPLE_RATE), round(window.end_s * SAMPLE_RATE))
            heard[number] = likelihoods(self.ear.listen(waveform[samples] * gain))
            looked.append(number)
            if len(looked) >= fewest and _agree(_joined(windows, heard * timed, prior)[looked]):
                break
        return heard


def likelihoods(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """What an :class:`Ear` says, as likelihoods float64 [languages + 1] of the states; the last: no words.

    That it says nobody speaks is left out: it says so of voices under music as often as not.
    """
    named = np.exp(log_probabilities[:-1] - log_probabilities[:-1].max())
    named /= named.sum()
    without_words = float(named @ WITHOUT_WORDS)
    return np.append(_RIGHT * named + (1 - _RIGHT) * without_words, without_words)


def _without_words() -> NDArray[np.float64]:
    """What an ear names for a voice without clear words: probabilities [languages]."""
    rest = (1 - sum(_NAMED_WITHOUT_WORDS.values())) / (len(CODES) - len(_NAMED_WITHOUT_WORDS))
    return np.array([_NAMED_WITHOUT_WORDS.get(code, rest) for code in CODES])


WITHOUT_WORDS = _without_words()


def _agree(probabilities: NDArray[np.float64]) -> bool:
    """Whether windows say the same, and are sure of it on average."""
    states = set(probabilities.argmax(axis=1).tolist())
    return len(states) == 1 and bool(probabilities.max(axis=1).mean() >= _AGREED)


def _windows(vocals: Vocals, duration_s: float) -> list[_Window]:
    """Vocal time in windows, each from where a voice begins or goes on; none is beyond the track's end."""
    windows: list[_Window] = []
    for span in vocals.spans:
        start_s, last_s = span.start_s, min(span.end_s, duration_s)
        if start_s < last_s and windows and start_s < windows[-1].start_s + WINDOW_S:
            last = windows.pop()
            end_s = min(last_s, last.start_s + WINDOW_S)
            windows.append(_Window(last.start_s, end_s, last.vocal_s + max(0.0, end_s - start_s)))
            start_s = end_s
        while start_s < last_s:
            end_s = min(last_s, start_s + WINDOW_S)
            windows.append(_Window(start_s, end_s, end_s - start_s))
            start_s = end_s
    return [window for window in windows if window.vocal_s >= LEAST_VOCAL_S]


def _spread(windows: Sequence[_Window], most: int) -> list[int]:
    """At most so many windows, in the order in which to listen to them: far from those before it, the fuller first."""
    full = np.array([window.vocal_s for window in windows])
    places = np.arange(len(windows), dtype=float)
    order = [int(np.argmax(full - 1e-3 * np.abs(places - len(windows) / 3)))]
    while len(order) < min(most, len(windows)):
        distance = np.abs(places[:, None] - places[order]).min(axis=1)
        order.append(int(np.argmax(distance * np.sqrt(full))))
    return order


def _prior(said: TextLanguage | None) -> NDArray[np.float64]:
    """Probabilities [languages + 1] before anything is heard: by what was said, where that is given."""
    prior = PRIOR.astype(np.float64) ** _PRIOR_POWER
    prior /= prior.sum()
    wordless = _WORDLESS
    if said is not None:
        # 0 of a language that is as likely as before: with flat words, of all.
        written = said.log_likelihoods.astype(np.float64) + np.log(len(CODES))
        prior = prior * np.exp(np.maximum(written, written.max() - _MOST_WRITTEN))
        wordless = _WORDLESS_LYRICS if said.lyrics else _WORDLESS
    prior = np.append(prior, wordless)
    normalised: NDArray[np.float64] = prior / prior.sum()
    return normalised


def _written(said: TextLanguage) -> NDArray[np.float64]:
    """Probabilities [languages + 1] by words alone, where nobody listens."""
    return np.append(np.exp(said.log_probabilities.astype(np.float64)), 0.0)


def _joined(windows: Sequence[_Window], heard: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [windows, languages + 1] by likelihoods of the same shape; the last: no words.

    A long track does not change its language more often than a song does, and is listened to as often: there, states
    last longer, or windows far from those that were listened to would be as if nothing had been heard.
    """
    gaps_s = np.diff([(window.start_s + window.end_s) / 2 for window in windows])
    stay_s = _MEAN_STAY_S * max(1.0, len(windows) / MOST_LOOKS)
    return posteriors(heard, gaps_s, stay_s, prior)


def _timed(windows: Sequence[_Window], said: TextLanguage) -> NDArray[np.float64]:
    """Likelihoods [windows, languages + 1] of what lyrics in several languages, with times, say of each window."""
    by_window = np.ones((len(windows), len(CODES) + 1))
    spans = said.lyrics.spans if said.lyrics else ()
    if len({span.language for span in spans}) < 2:
        return by_window  # they tell when which is sung; that one is sung at all is in the prior, and counts once
    for number, window in enumerate(windows):
        shares = np.zeros(len(CODES) + 1)
        for span in spans:
            overlap_s = min(span.end_s, window.end_s) - max(span.start_s, window.start_s)
            if overlap_s > 0 and span.language in INDEX:
                shares[INDEX[span.language]] += overlap_s * span.probability
        if shares.sum() > 0:
            by_window[number] = 1 + (_TIMED - 1) * shares / shares.sum()
    return by_window


def _claims(probabilities: NDArray[np.float64], sure: float) -> NDArray[np.float64]:
    """What is claimed [windows, languages] of probabilities [windows, languages + 1]: nothing where none is likely."""
    of_languages = probabilities[:, :-1]
    return np.where(of_languages.max(axis=1, keepdims=True) >= sure, of_languages, 0.0)


def _ratios(windows: Sequence[_Window], probabilities: NDArray[np.float64], sure: float) -> dict[str, float]:
    """Shares of vocal time, largest first; what is claimed of less than a few per cent of it is unknown too."""
    vocal_s = np.array([window.vocal_s for window in windows])
    shares = vocal_s @ _claims(probabilities, sure) / vocal_s.sum()
    named = [int(i) for i in np.argsort(-shares) if shares[i] >= _LEAST_SHARE]
    parts = _whole_parts(np.append(shares[named], max(0.0, 1 - shares[named].sum())))
    return dict(zip([*(CODES[i] for i in named), UNKNOWN], (parts / _PARTS).tolist(), strict=True))


def _whole_parts(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Shares as parts that add up to :data:`_PARTS`: what rounding down leaves goes to where most was cut."""
    exact = shares / shares.sum() * _PARTS
    parts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: _PARTS - parts.sum()]] += 1
    return parts


def _spans(windows: Sequence[_Window], probabilities: NDArray[np.float64], sure: float) -> tuple[LanguageSpan, ...]:
    """Neighbouring windows that are sure of one language, as one span."""
    spans: list[LanguageSpan] = []
    for window, row in zip(windows, probabilities, strict=True):
        best, confidence = CODES[int(row[:-1].argmax())], float(row[:-1].max())
        if confidence < sure:
            continue
        if spans and spans[-1].language == best and window.start_s - spans[-1].end_s < WINDOW_S:
            last = spans.pop()
            spans.append(LanguageSpan(last.start_s, window.end_s, best, min(last.confidence, confidence)))
        else:
            spans.append(LanguageSpan(window.start_s, window.end_s, best, confidence))
    return tuple(spans)
