"""Tracks with a known truth: unseen voices over unseen music, by the parts of `encoders.training.voices.parts`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from encoders.models.language.codes import normal_code
from encoders.models.language.lines import Lyrics
from encoders.models.language.text import TrackText
from encoders.training.rendering import chance
from encoders.training.voices.clips import SAMPLE_RATE, Clip
from encoders.training.voices.mastering import master
from encoders.training.voices.mixes import Mix, Vocal, mix, place
from encoders.training.voices.parts import Beds, Voices

TRACK_S = 40.0
VOCAL_S = 24.0
LEAST_SPEAKER_S = 15.0  # of a speaker's clips; less is too little to judge a language by
WITHOUT_LANGUAGE = ("klettres-data", "gcin-voice")
"""Sources of letters and syllables, which are in no language to speak of."""

Speaker = tuple[str, str, str]


@dataclass(frozen=True)
class Judged:
    """A track: waveform float32 [samples] at 16 kHz, its truth before mastering, and who is heard in it."""

    waveform: np.ndarray
    truth: Mix
    speaker: Speaker
    kind: str


def speakers_of(voices: Voices, kind: str) -> dict[Speaker, list[Clip]]:
    """Speakers with enough clips of a kind: ``recorded``, ``synthesised`` or ``sung`` (by people: no machine's)."""
    groups = voices.sung if kind == "sung" else voices.spoken
    return {
        speaker: clips
        for speaker, clips in groups.items()
        if sum(clip.seconds for clip in clips) >= LEAST_SPEAKER_S
        and (kind == "sung" or clips[0].kind == kind)
        and clips[0].source not in WITHOUT_LANGUAGE
    }


def vocals_of(voices: Voices, clips: Sequence[Clip], seconds: float, rng: np.random.Generator) -> list[Vocal]:
    """Clips of one speaker, in an order of chance, that come to about so many seconds."""
    chosen, left = [], round(seconds * SAMPLE_RATE)
    while left > SAMPLE_RATE:
        for index in rng.permutation(len(clips)):
            if left > SAMPLE_RATE:
                vocal = voices.vocal(clips[int(index)])
                chosen.append(replace(vocal, waveform=vocal.waveform[:left]))
                left -= len(chosen[-1].waveform)
    return chosen


def single(
    voices: Voices, beds: Beds, kind: str, *, each: int, snr_db: float | None, vocal_s: float = VOCAL_S
) -> Iterator[Judged]:
    """Tracks in one language and voice; without a ratio, one from -12 to +12 dB."""
    for speaker, clips in speakers_of(voices, kind).items():
        for number in range(each):
            rng = chance(f"{kind} {'/'.join(speaker)} {number} {snr_db}", 1)
            ratio = float(rng.uniform(-12, 12)) if snr_db is None else snr_db
            placed = place(vocals_of(voices, clips, vocal_s, rng), TRACK_S, rng)
            made = mix(beds.cut(TRACK_S, rng), placed, TRACK_S, snr_db=ratio)
            yield Judged(master(made.waveform, rng), made, speaker, kind)


def of_two(voices: Voices, beds: Beds, kinds: Sequence[str], count: int) -> Iterator[Judged]:
    """Tracks of 60 s in two languages at 0 to 6 dB: one after the other, or in turn, a sixth to five sixths in one."""
    by_language: dict[str, list[list[Clip]]] = {}
    for kind in kinds:
        for (language, _, _), clips in speakers_of(voices, kind).items():
            by_language.setdefault(language, []).append(clips)
    for number in range(count):
        rng = chance(f"two {number}", 1)
        languages = rng.choice(sorted(by_language), size=2, replace=False)
        share = rng.uniform(1 / 6, 5 / 6)
        turns = int(rng.integers(1, 3))
        stretches: list[list[Vocal]] = []
        for language, part in zip(languages, (share, 1 - share), strict=True):
            clips = by_language[language][int(rng.integers(len(by_language[language])))]
            stretches += [vocals_of(voices, clips, 36 * part / turns, rng) for _ in range(turns)]
        order = [stretches[turn + turns * which] for turn in range(turns) for which in (0, 1)]
        made = mix(
            beds.cut(60.0, rng),
            place([vocal for stretch in order for vocal in stretch], 60.0, rng),
            60.0,
            snr_db=rng.uniform(0, 6),
        )
        yield Judged(master(made.waveform, rng), made, (languages[0], "", languages[1]), "two")


class Words:
    """Titles, names and lyrics by language, from lines of text in it; none of them was learnt from.

    Parameters
    ----------
    folder : ``CODE.txt``, a sentence a line
    """

    def __init__(self, folder: Path) -> None:
        self._lines = {
            code: [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 20]
            for path in sorted(folder.glob("*.txt"))
            if (code := normal_code(path.stem))
        }

    def of(self, language: str, rng: np.random.Generator, *, lyrics: bool) -> TrackText:
        """A track's words in a language: the beginning of a sentence as its title, eight others as its lyrics."""
        lines = self._lines[language]
        some = [lines[int(index)] for index in rng.integers(len(lines), size=9)]
        title = " ".join(some[0].split()[: int(rng.integers(2, 6))])[:40]
        return TrackText(title=title, lyrics=Lyrics.from_text("\n".join(some[1:])) if lyrics else None)

    def another(self, language: str, rng: np.random.Generator) -> str:
        """Some other language that there are words of."""
        others = [code for code in self._lines if code != language]
        return others[int(rng.integers(len(others)))]
