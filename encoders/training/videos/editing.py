"""The editor, another one for every clip: when there is a cut, how fast things move, how light and how warm it is.

People follow music by habits that differ, and never in everything. So each relation between sound and picture holds by
a strength that chance takes, now and then by none, and what is left of it stands in noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from encoders.training.videos.listening import FRAME_RATE, mood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.training.videos.listening import Heard, Mood

SYNCS = ("beats", "downbeats", "2 bars", "4 bars", "onsets", "nothing")
"""What cuts may follow."""
_SYNC_SHARES = (0.34, 0.26, 0.14, 0.05, 0.14, 0.07)
_BARS = {"downbeats": 1, "2 bars": 2, "4 bars": 4}
_SHORTEST_SHOT_S = 0.4
_FEWEST_BEATS = 8
_DRIFT = 4 * FRAME_RATE  # frames from one knot of slow noise to the next
_LONG_SHOT_S, _SHORT_SHOT_S = 7.0, 0.5  # where arousal is 0 and 1


@dataclass(frozen=True)
class Habits:
    """How an editor follows music; strengths are 0 … 1.

    Attributes
    ----------
    sync : one of :data:`SYNCS`
    shot_s : how long a shot is at least, about
    jitter_s : standard deviation of a cut around what it follows
    dissolve_s : how long one shot fades into the next; 0 for cuts
    motion : how fast things move before music has a say
    follows_loudness, pulses : how much motion follows loudness, and onsets
    lag_s : by how much motion comes behind the sound
    flashes : how much light follows onsets
    light, light_follows : exposure before music has a say, about 1, and how much it follows mood and brightness
    warmth, warmth_follows : −1 … 1, blue to orange, and how much it follows mood
    taste : how much pictures are chosen by mood
    """

    sync: str
    shot_s: float
    jitter_s: float = 0.0
    dissolve_s: float = 0.0
    motion: float = 1.0
    follows_loudness: float = 0.0
    pulses: float = 0.0
    lag_s: float = 0.0
    flashes: float = 0.0
    light: float = 1.0
    light_follows: float = 0.0
    warmth: float = 0.0
    warmth_follows: float = 0.0
    taste: float = 0.0


@dataclass(frozen=True, eq=False)
class Edit:
    """What is decided of a clip; curves are float32 [frames].

    Attributes
    ----------
    duration_s : whole frames
    cuts_s : float64 [k], first frame of each shot but the first, of dissolves their middle
    speed : how fast things move, 1 is usual
    pulse : 0 … 1, what jumps with an onset
    level : 0 … 1, how loud it is, as far as the editor minds
    light : factor of exposure
    warmth : −1 … 1
    """

    duration_s: float
    cuts_s: NDArray[np.float64]
    mood: Mood
    habits: Habits
    speed: NDArray[np.float32]
    pulse: NDArray[np.float32]
    level: NDArray[np.float32]
    light: NDArray[np.float32]
    warmth: NDArray[np.float32]

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.speed)


def some_habits(heard: Heard, start_s: float, duration_s: float, rng: np.random.Generator) -> Habits:
    """The habits of an editor that chance takes, whom a stretch of music stirs more or less."""
    beats_s = heard.rhythm.beats_s
    here = int(((beats_s >= start_s) & (beats_s < start_s + duration_s)).sum())
    shares = np.array(_SYNC_SHARES)
    if here < _FEWEST_BEATS:
        shares[:4] = 0
    arousal = float(np.clip(mood(heard, start_s, start_s + duration_s).arousal + rng.normal(0, 0.06), 0, 1))
    return Habits(
        sync=str(rng.choice(SYNCS, p=shares / shares.sum())),
        shot_s=float(_LONG_SHOT_S * (_SHORT_SHOT_S / _LONG_SHOT_S) ** arousal * np.exp(rng.normal(0, 0.15))),
        jitter_s=float(rng.uniform(0, 0.05)),
        dissolve_s=0.0 if rng.random() < 0.85 else float(rng.uniform(0.2, 0.8)),
        motion=float(np.exp(rng.normal(0, 0.25) + rng.uniform(2, 4) * (arousal - 0.5))),
        follows_loudness=_perhaps(rng, 0.9),
        pulses=_perhaps(rng, 0.85),
        lag_s=float(rng.uniform(0, 0.08)),
        flashes=_perhaps(rng, 0.3) * 0.6,
        light=float(np.exp(rng.normal(0, 0.1))),
        light_follows=_perhaps(rng, 0.85),
        warmth=float(rng.normal(0, 0.15)),
        warmth_follows=_perhaps(rng, 0.85),
        taste=_perhaps(rng, 0.8),
    )


def edit(heard: Heard, start_s: float, duration_s: float, habits: Habits, rng: np.random.Generator) -> Edit:
    """Decide a clip of some length to a stretch of a track."""
    frames = round(duration_s * FRAME_RATE)
    duration_s = frames / FRAME_RATE
    felt = mood(heard, start_s, start_s + duration_s)
    loudness, onsets, brightness = (
        _behind(curve, start_s - habits.lag_s, frames) for curve in (heard.loudness, heard.onsets, heard.brightness)
    )
    loudness = gaussian_filter1d(loudness, 4)
    # How loud it is beside the rest of the clip and, less, beside all music.
    low, high = np.percentile(loudness, [5, 95])
    relative = np.clip((loudness - low) / max(float(high - low), 0.08), 0, 1)
    level = 1 + habits.follows_loudness * (0.6 * relative + 0.4 * loudness - 1)
    pulse = habits.pulses * _decaying(onsets)
    speed = habits.motion * (0.15 + 1.1 * level**2 + 2.2 * pulse)
    glad = 0.6 * felt.valence + 0.4 * brightness
    light = habits.light * (1 + habits.light_follows * 1.1 * (glad - 0.45)) * (1 + habits.flashes * _decaying(onsets))
    warmth = habits.warmth + habits.warmth_follows * 1.6 * (felt.valence - 0.5) + 0.05 * _drift(frames, rng)
    return Edit(
        duration_s=duration_s,
        cuts_s=_cuts(heard, start_s, duration_s, habits, rng),
        mood=felt,
        habits=habits,
        speed=speed.astype(np.float32),
        pulse=pulse.astype(np.float32),
        level=level.astype(np.float32),
        light=np.clip(light * (1 + 0.03 * _drift(frames, rng)), 0.35, 1.9).astype(np.float32),
        warmth=np.clip(warmth, -1, 1).astype(np.float32),
    )


def _cuts(
    heard: Heard, start_s: float, duration_s: float, habits: Habits, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Times of cuts in the clip, on whole frames: at the first thing to follow once a shot was long enough."""
    shortest_s = max(_SHORTEST_SHOT_S, 1.5 * habits.dissolve_s)
    follows_s = _followed(heard, habits.sync, rng) - start_s
    cuts_s: list[float] = []
    last_s = 0.0
    while True:
        wanted_s = last_s + max(shortest_s, habits.shot_s * rng.uniform(0.7, 1.3))
        if habits.sync == "nothing":
            there_s = wanted_s
        else:
            ahead_s = follows_s[follows_s >= wanted_s - 0.02]
            there_s = float(ahead_s[0]) if len(ahead_s) else duration_s
        cut_s = round((there_s + rng.normal(0, habits.jitter_s)) * FRAME_RATE) / FRAME_RATE
        if max(cut_s, there_s) > duration_s - shortest_s:
            return np.array(cuts_s)
        last_s = max(cut_s, last_s + 1 / FRAME_RATE)
        cuts_s.append(last_s)


def _followed(heard: Heard, sync: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """All times in the track that cuts of this kind may be at."""
    if sync == "onsets":
        return heard.strong_s
    if sync == "beats":
        return heard.rhythm.beats_s
    if sync == "nothing":
        return np.empty(0)
    every = _BARS[sync]
    return heard.rhythm.downbeats_s[int(rng.integers(every)) :: every]


def _behind(curve: NDArray[np.float32], start_s: float, frames: int) -> NDArray[np.float64]:
    times = start_s * FRAME_RATE + np.arange(frames)
    return np.asarray(np.interp(times, np.arange(len(curve)), curve), np.float64)


def _decaying(onsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Onsets that die away within a fifth of a second."""
    held, last = np.empty_like(onsets), 0.0
    for index, onset in enumerate(onsets):
        last = max(float(onset), last * 0.72)
        held[index] = last
    return held


def _perhaps(rng: np.random.Generator, chance: float) -> float:
    """A strength 0.4 … 1, or none at all."""
    return float(rng.uniform(0.4, 1)) if rng.random() < chance else 0.0


def _drift(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slow noise of variance about 1."""
    knots = rng.normal(size=frames // _DRIFT + 3)
    return np.asarray(np.interp(np.arange(frames) / _DRIFT, np.arange(len(knots)), knots), np.float64)
