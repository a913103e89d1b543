"""What a drummer plays: patterns over a bar of any number of beats, made by chance once a song and played all along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

KICK, STICK, SNARE, CLAP, ELECTRIC_SNARE = 36, 37, 38, 39, 40
CLOSED_HAT, PEDAL_HAT, OPEN_HAT, CRASH, RIDE, TAMBOURINE = 42, 44, 46, 49, 51, 54
TOMS = (50, 48, 45, 43)
SHAKERS = (70, 82, 69, TAMBOURINE, 64, 62)
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
"""General MIDI's programs of channel 10, by how common they are."""

Hit = tuple[float, int, int]
"""Beat in the bar, note, velocity."""


@dataclass(frozen=True)
class Groove:
    """What is played in a bar of each length, and before a new part."""

    patterns: dict[int, list[Hit]]
    fills: bool
    crashes: bool

    def bar(self, n_beats: int, rng: np.random.Generator, *, first: bool, last: bool) -> Iterator[Hit]:
        """Hits of a bar; the first of a part may begin with a crash, the last end with a fill."""
        fill_from = n_beats - float(rng.choice([0.5, 1, 1, 2])) if last and self.fills else n_beats
        for at, note, velocity in self.patterns[n_beats]:
            if at < fill_from and rng.random() > 0.02:
                yield at, note, int(np.clip(velocity + rng.normal(0, 6), 10, 127))
        if first and self.crashes:
            yield 0.0, CRASH, int(rng.integers(80, 120))
        for number, at in enumerate(np.arange(max(0.0, fill_from), n_beats, 0.25)):
            if rng.random() < 0.8:
                note = SNARE if rng.random() < 0.4 else TOMS[min(number // 2, len(TOMS) - 1)]
                yield float(at), note, int(rng.integers(70, 120))


def groove(rng: np.random.Generator, energy: float) -> Groove:
    """A drummer's idea of a part; the more energy (0 … 1), the more is played."""
    hat = int(
        rng.choice(
            [CLOSED_HAT, CLOSED_HAT, OPEN_HAT, RIDE, TAMBOURINE] if energy > 0.5 else [CLOSED_HAT, PEDAL_HAT, RIDE]
        )
    )
    grid = float(rng.choice([1, 0.5, 0.5, 0.5, 0.25] if energy > 0.3 else [1, 1, 0.5]))
    snare = int(rng.choice([SNARE, SNARE, ELECTRIC_SNARE, CLAP] if energy > 0.3 else [STICK, SNARE]))
    style = str(rng.choice(["backbeat", "backbeat", "backbeat", "four", "half", "sparse", "broken"]))
    extra_kicks = rng.random(16) < 0.12 + 0.2 * energy
    loudness = 55 + 45 * energy
    percussion = int(rng.choice(SHAKERS)) if rng.random() < 0.35 else None
    with_hat = rng.random() < 0.9

    def pattern(n_beats: int) -> list[Hit]:
        hits: list[Hit] = []
        if with_hat:
            for number, at in enumerate(np.arange(0, n_beats, grid)):
                accent = 14 if at % 1 == 0 else 0
                hits.append((float(at), hat, int(loudness * 0.7 + accent - (8 if number % 2 else 0))))
        if percussion is not None:
            hits += [(float(at), percussion, int(loudness * 0.6)) for at in np.arange(0, n_beats, 0.5)]
        hits.append((0.0, KICK, int(loudness + 15)))
        match style:
            case "four":
                hits += [(float(at), KICK, int(loudness + 10)) for at in range(1, n_beats)]
                hits += [(float(at), snare, int(loudness + 8)) for at in range(1, n_beats, 2)]
            case "half":
                hits.append((n_beats / 2 if n_beats % 2 == 0 else float(n_beats - 1), snare, int(loudness + 10)))
            case "sparse":
                hits.append((float(n_beats - 1), STICK, int(loudness)))
            case _ if n_beats == 3:
                hits += [(at, snare, int(loudness)) for at in (1.0, 2.0)]
            case _:
                hits += [(float(at), snare, int(loudness + 10)) for at in range(1, n_beats, 2)]
        if style in ("backbeat", "broken"):
            hits += [
                (at / 2, KICK, int(loudness))
                for at in range(1, 2 * n_beats)
                if extra_kicks[at] and (style == "broken" or at % 4 != 2)
            ]
        return hits

    return Groove(
        {n: pattern(n) for n in range(1, 9)}, fills=bool(rng.random() < 0.6), crashes=bool(rng.random() < 0.6)
    )
