"""What the text branch makes of names and lyrics, on texts that its numbers were not chosen on, and where text lies.

    python -m benchmarks.encoders.language_text DIR [--choosing] [--each 40]

DIR: see `language_texts`. Accuracy is the mean over languages; F1 the macro-F1; ECE over ten bins of confidence;
"confident" the share of answers of at least 0.8, "wrong" the share of all answers that are confident and wrong.
Lying: lyrics beside an English title; lyrics in another language than the file states; two languages in one text.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import f1_score

from benchmarks.encoders.language_texts import CHOOSING, MEASURING, Texts, gather
from encoders.models.language.codes import CODES, INDEX
from encoders.models.language.identifier import identify
from encoders.models.language.lines import Lyrics
from encoders.models.language.lyrics import share_lyrics
from encoders.models.language.text import TrackText, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENT = 0.8
FEWEST = 8
COMMON_CODES = "en de fr es it pt nl sv da no fi pl cs sk hu ro bg ru uk el tr ja zh ko ca lt lv et id vi ar he hi"
COMMON = frozenset(COMMON_CODES.split())


def drawn(by_language: dict[tuple[str, str], list], sources: tuple[str, ...], each: int) -> dict[str, list]:
    """At most `each` texts of every language that has enough."""
    pools: dict[str, list] = {}
    for (source, language), texts in sorted(by_language.items()):
        if source in sources:
            pools.setdefault(language, []).extend(texts)
    rng = random.Random(17)
    return {code: rng.sample(pool, min(each, len(pool))) for code, pool in pools.items() if len(pool) >= FEWEST}


def report(name: str, truth: list[str], probabilities: NDArray[np.float64], *, each: bool = False) -> None:
    """One line of measures; accuracy by language where asked for."""
    expected = np.array([INDEX[code] for code in truth])
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = answers == expected
    accuracy = {code: float(right[expected == INDEX[code]].mean()) for code in sorted(set(truth))}
    bins = np.minimum((confidence * 10).astype(int), 9)
    ece = sum(abs(confidence[bins == x].mean() - right[bins == x].mean()) * (bins == x).mean() for x in np.unique(bins))
    sure = confidence >= CONFIDENT
    f1 = f1_score(expected, answers, average="macro", labels=np.unique(expected), zero_division=0.0)
    print(
        f"{name:34} n {len(truth):5} languages {len(accuracy):3}  accuracy {np.mean(list(accuracy.values())):.3f}"
        f"  F1 {f1:.3f}  ECE {ece:.3f}  confident {sure.mean():.3f}  wrong {(sure & ~right).mean():.4f}"
    )
    if each:
        print("    " + "  ".join(f"{code} {value:.2f}" for code, value in accuracy.items()))


def by_text(cases: list[tuple[str, TrackText]]) -> NDArray[np.float64]:
    """Probabilities [cases, languages] by all text and the prior."""
    return np.exp(np.stack([read_text(text).log_probabilities for _, text in cases]).astype(np.float64))


def measure(texts: Texts, sources: tuple[str, ...], each: int) -> None:
    """Names and lyrics of some sources."""
    for title, codes in (("33 common languages", COMMON), ("all languages", list(CODES))):
        names = [(x, text) for x, pool in drawn(texts.names, sources, each).items() if x in codes for text in pool]
        lyrics = [(x, text) for x, pool in drawn(texts.lyrics, sources, each).items() if x in codes for text in pool]
        print(f"-- {title}")
        report("identifier, names", [x for x, _ in names], np.exp(np.stack([identify(text) for _, text in names])))
        report("title alone", [x for x, _ in names], by_text([(x, TrackText(title=text)) for x, text in names]))
        songs = [(x, Lyrics.from_text("\n".join(lines))) for x, lines in lyrics]
        started = time.perf_counter()
        found = by_text([(x, TrackText(lyrics=song)) for x, song in songs])
        report("lyrics alone", [x for x, _ in songs], found, each=True)
        print(f"    {1000 * (time.perf_counter() - started) / len(songs):.1f} ms a track")
        found = by_text([(x, TrackText(title="Summer nights", lyrics=song)) for x, song in songs])
        report("lyrics under an English title", [x for x, _ in songs], found)
        found = by_text([(x, TrackText(lyrics=song, language="eng")) for x, song in songs])
        report("lyrics, file states English", [x for x, _ in songs], found)


def mixed(texts: Texts, sources: tuple[str, ...], n: int = 300) -> None:
    """Shares of two languages in one text, in blocks of lines, against the shares of lines that were put in."""
    pools = {code: pool for code, pool in drawn(texts.lyrics, sources, 40).items() if code in COMMON}
    rng = random.Random(18)
    errors, unknown = [], []
    for _ in range(n):
        (first, second), share = rng.sample(sorted(pools), 2), rng.randrange(2, 9)
        lines = rng.choice(pools[first])[:share] + rng.choice(pools[second])[: 10 - share]
        found = share_lyrics(Lyrics.from_text("\n".join(lines)).lines)
        letters = sum(map(len, lines[:share])) / sum(map(len, lines)) if found else 0.0
        if found and ("ja" in (first, second)) + ("zh" in (first, second)) + ("ko" in (first, second)) == 0:
            errors += [abs(found.shares.get(first, 0) - letters), abs(found.shares.get(second, 0) - 1 + letters)]
            unknown.append(found.shares.get("unknown", 0))
    print(f"two languages: mean absolute error of shares {np.mean(errors):.3f}, unknown {np.mean(unknown):.3f}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--choosing", action="store_true", help="the texts that numbers are chosen on")
    parser.add_argument("--each", type=int, default=40, help="texts of a language")
    options = parser.parse_args()
    texts = gather(options.directory)
    sources = CHOOSING if options.choosing else MEASURING
    measure(texts, sources, options.each)
    mixed(texts, sources)


if __name__ == "__main__":
    main()
