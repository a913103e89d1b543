"""Sheet music made sound: MIDI files played by soundfonts, so that a training hears more instruments than recordings.

A song is given another band each time that it is rendered: a soundfont, an instrument for every voice, drums that keep
its beat, a transposition and a tempo of its own. Chance comes from the file's name and the seed alone. `fluidsynth`
(LGPL) plays; MIDI is read and written by `mido` (``pip install 'soundalike[training]'``).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import mido

_DRUMS = 9
_ALL_NOTES_OFF = 123
_KICK, _SNARE, _STICK, _CLOSED_HAT, _OPEN_HAT, _RIDE = 36, 38, 37, 42, 46, 51
_LAST_MELODIC_PROGRAM = 103  # beyond lie sitars and sound effects
_MAX_TRANSPOSITION = 6
_TEMPO = (0.8, 1.25)
_WITHOUT_DRUMS = 0.25
_RATE = 44_100


@dataclass(frozen=True)
class Rendering:
    """How much of every song is played, and by what."""

    soundfonts: Sequence[Path]
    seconds: float = 75.0
    seed: int = 0


def render(midi: Path, out: Path, rendering: Rendering) -> None:
    """Play a stretch of a MIDI file into a FLAC file.

    Raises
    ------
    CorpusError
        If fluidsynth or mido is missing, or the file cannot be played; it is named.
    """
    fluidsynth = shutil.which("fluidsynth")
    if fluidsynth is None:
        raise CorpusError("fluidsynth is not on the PATH: it renders MIDI")
    digest = hashlib.sha256(f"{rendering.seed}/{midi.stem}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        arranged, played = Path(scratch) / "arranged.mid", Path(scratch) / "played.flac"
        arrange(midi, rng, seconds=rendering.seconds).save(arranged)
        soundfont = rendering.soundfonts[int(rng.integers(len(rendering.soundfonts)))]
        command = [fluidsynth, "-ni", "-q", "-g", "0.6", "-r", str(_RATE), "-T", "flac", "-F", str(played)]
        done = subprocess.run([*command, str(soundfont), str(arranged)], capture_output=True, text=True, check=False)
        if done.returncode != 0 or not played.is_file():
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise CorpusError(f"{midi}: fluidsynth could not play it: {lines[-1]}")
        shutil.move(played, out)


def arrange(midi: Path, rng: np.random.Generator, *, seconds: float) -> mido.MidiFile:
    """A stretch of a song, played by other instruments at another pitch and tempo, mostly with drums.

    Raises
    ------
    CorpusError
        If mido is missing, or the file is no MIDI.
    """
    try:
        import mido
    except ImportError as error:
        raise CorpusError("rendering MIDI needs mido: pip install 'soundalike[training]'") from error
    try:
        song = mido.MidiFile(midi)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise CorpusError(f"{midi}: not a readable MIDI file ({error})") from error
    shift = int(rng.integers(-_MAX_TRANSPOSITION, _MAX_TRANSPOSITION + 1))
    tempo = int(_first_tempo(song) / rng.uniform(*_TEMPO))
    length = int(seconds * 1e6 / tempo * song.ticks_per_beat)
    end = max(sum(message.time for message in track) for track in song.tracks)
    start = int(rng.integers(max(1, end - length)))
    start -= start % (4 * song.ticks_per_beat)
    made = mido.MidiFile(ticks_per_beat=song.ticks_per_beat)
    made.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)]))
    for channel, notes in enumerate(_voices(song)):
        program = int(rng.integers(_LAST_MELODIC_PROGRAM + 1))
        track = [(0, mido.Message("program_change", channel=channel, program=program))]
        track += [
            (time - start, message.copy(channel=channel, note=min(127, max(0, message.note + shift)), time=0))
            for time, message in notes
            if start <= time < start + length
        ]
        # A note that sounds where the stretch ends would sound for ever.
        track.append((length, mido.Message("control_change", channel=channel, control=_ALL_NOTES_OFF)))
        made.tracks.append(_in_order(track, length))
    if rng.random() >= _WITHOUT_DRUMS:
        made.tracks.append(_in_order(_drums(rng, song.ticks_per_beat, min(length, end - start)), length))
    return made


def _first_tempo(song: mido.MidiFile) -> int:
    """Microseconds a beat."""
    return next((message.tempo for track in song.tracks for message in track if message.type == "set_tempo"), 500_000)


def _voices(song: mido.MidiFile) -> list[list[tuple[int, mido.Message]]]:
    """Notes of every track that has any but drums, each with its time in ticks; at most nine of them."""
    voices = []
    for track in song.tracks:
        time, notes = 0, []
        for message in track:
            time += message.time
            if message.type in ("note_on", "note_off") and message.channel != _DRUMS:
                notes.append((time, message))
        if notes:
            voices.append(notes)
    return voices[:_DRUMS]


def _drums(rng: np.random.Generator, beat: int, length: int) -> list[tuple[int, mido.Message]]:
    """A bar of four beats that chance made, over and over."""
    import mido

    hat, snare = (int(rng.choice(choices)) for choices in ([_CLOSED_HAT, _OPEN_HAT, _RIDE], [_SNARE, _SNARE, _STICK]))
    every = beat // int(rng.choice([1, 2, 2, 4]))
    bar = [(at, hat, int(rng.integers(40, 90))) for at in range(0, 4 * beat, every)]
    bar += [(at * beat, snare, int(rng.integers(70, 120))) for at in (1, 3)]
    bar += [(0, _KICK, 110)]
    bar += [(int(at) * beat // 2, _KICK, 100) for at in rng.choice(np.arange(1, 8), int(rng.integers(1, 4)))]
    if rng.random() < 1 / 3:  # four to the floor
        bar += [(at * beat, _KICK, 110) for at in (1, 2, 3)]
    hits = []
    for first in range(0, length - 4 * beat, 4 * beat):
        for at, note, velocity in bar:
            for kind, loudness, after in (("note_on", velocity, 0), ("note_off", 0, beat // 4)):
                hit = mido.Message(kind, channel=_DRUMS, note=note, velocity=loudness)
                hits.append((first + at + after, hit))
    return hits


def _in_order(timed: list[tuple[int, mido.Message]], length: int) -> mido.MidiTrack:
    """Messages at absolute ticks → a track of them, each after the one before."""
    import mido

    track, now = mido.MidiTrack(), 0
    for time, message in sorted(timed, key=lambda one: one[0]):
        track.append(message.copy(time=time - now))
        now = time
    track.append(mido.MetaMessage("end_of_track", time=max(0, length - now)))
    return track
