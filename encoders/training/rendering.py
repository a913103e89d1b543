"""Sheet music made sound: MIDI files played by soundfonts, so that a training hears more instruments than recordings.

A song is given another band with every seed: a soundfont, an instrument for every voice, drums that keep its beat, a
transposition and a tempo of its own. Chance comes from the song's key, which is its path, and the seed alone.
`fluidsynth` (LGPL) plays; MIDI is read and written by `mido` (``pip install 'soundalike[training]'``).
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

    import mido

_DRUMS = 9
_ALL_NOTES_OFF = 123
_KICK, _SNARE, _STICK, _CLOSED_HAT, _OPEN_HAT, _RIDE = 36, 38, 37, 42, 46, 51
_LAST_MELODIC_PROGRAM = 103  # beyond lie sitars and sound effects
_MAX_TRANSPOSITION = 6
_TEMPO = (0.8, 1.25)
_FASTEST, _SLOWEST = 150_000, 6_000_000  # microseconds a beat: what lies beyond is a mistake of the file's
_WITHOUT_DRUMS = 0.25
_RATE = 44_100


@dataclass(frozen=True)
class Rendering:
    """How much of every song is played, and by what."""

    soundfonts: Sequence[Path]
    seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Rendered:
    """What became of one MIDI file; a reason when it could not be played."""

    key: str
    new: bool
    reason: str | None = None


def render_all(songs: Iterable[tuple[str, Path]], out: Path, rendering: Rendering) -> Iterator[Rendered]:
    """Play MIDI files, given as (key, file), to ``OUT/KEY`` with ``.flac``; one that is there is not played again.

    Raises
    ------
    CorpusError
        If fluidsynth or mido is missing, or a soundfont is none; it is named.
    OSError
        If `out` cannot be written; what was finished before stays.
    """
    find_fluidsynth(), _mido()
    for soundfont in rendering.soundfonts:
        _check(soundfont)
    for key, midi in songs:
        played = (out / key).with_suffix(".flac")
        if played.is_file():
            yield Rendered(key, new=False)
            continue
        try:
            render(midi, key, played, rendering)
        except CorpusError as error:
            yield Rendered(key, new=False, reason=str(error).removeprefix(f"{midi}: "))
        else:
            yield Rendered(key, new=True)


def render(midi: Path, key: str, out: Path, rendering: Rendering) -> None:
    """Play a stretch of a MIDI file into a FLAC file; a run that is killed leaves none.

    Raises
    ------
    CorpusError
        If fluidsynth or mido is missing, or the file cannot be played; it is named.
    OSError
        If `out` cannot be written.
    """
    fluidsynth = find_fluidsynth()
    rng = chance(key, rendering.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_suffix(".part")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            arranged = Path(scratch) / "arranged.mid"
            arrange(midi, rng, seconds=rendering.seconds).save(arranged)
            soundfont = rendering.soundfonts[int(rng.integers(len(rendering.soundfonts)))]
            command = [fluidsynth, "-ni", "-q", "-g", "0.6", "-r", str(_RATE), "-T", "flac", "-F", str(beside)]
            done = subprocess.run(
                [*command, str(soundfont), str(arranged)], capture_output=True, text=True, errors="replace", check=False
            )
        # Of a soundfont that it cannot load it only complains, and plays silence.
        if done.returncode != 0 or "fluidsynth: error:" in done.stderr or not beside.is_file():
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise CorpusError(f"{midi}: fluidsynth could not play it with {soundfont}: {lines[-1]}")
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def chance(key: str, seed: int) -> np.random.Generator:
    """All chance that a song is rendered by."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def arrange(midi: Path, rng: np.random.Generator, *, seconds: float) -> mido.MidiFile:
    """A stretch of a song, played by other instruments at another pitch and tempo, mostly with drums.

    Raises
    ------
    CorpusError
        If mido is missing, or the file is no MIDI, or has no notes.
    """
    mido = _mido()
    try:
        song = mido.MidiFile(midi)
    except (OSError, EOFError, ValueError, LookupError, TypeError, struct.error, mido.KeySignatureError) as error:
        raise CorpusError(f"{midi}: not a readable MIDI file ({str(error) or type(error).__name__})") from error
    voices = _voices(song)
    if song.ticks_per_beat < 1:
        raise CorpusError(f"{midi}: in SMPTE frames, not in beats")
    if not voices:
        raise CorpusError(f"{midi}: no notes in it, but for drums")
    shift = int(rng.integers(-_MAX_TRANSPOSITION, _MAX_TRANSPOSITION + 1))
    tempo = min(max(int(_first_tempo(song) / rng.uniform(*_TEMPO)), _FASTEST), _SLOWEST)
    length = int(seconds * 1e6 / tempo * song.ticks_per_beat)
    end = max(sum(message.time for message in track) for track in song.tracks)
    start = int(rng.integers(max(1, end - length)))
    start -= start % (4 * song.ticks_per_beat)
    made = mido.MidiFile(ticks_per_beat=song.ticks_per_beat)
    made.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)]))
    for channel, notes in enumerate(voices):
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


def find_fluidsynth() -> str:
    """Where fluidsynth is.

    Raises
    ------
    CorpusError
        If it is nowhere on the PATH.
    """
    found = shutil.which("fluidsynth")
    if found is None:
        raise CorpusError("fluidsynth is not on the PATH: it renders MIDI (Debian and Ubuntu: apt install fluidsynth)")
    return found


def _mido() -> ModuleType:
    try:
        import mido
    except ImportError as error:
        raise CorpusError("rendering MIDI needs mido: pip install 'soundalike[training]'") from error
    module: ModuleType = mido
    return module


def _check(soundfont: Path) -> None:
    try:
        with soundfont.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise CorpusError(f"{soundfont}: {error.strerror}") from error
    if not (head.startswith(b"RIFF") and head.endswith(b"sfbk")):
        # fluidsynth would take its own in its place.
        raise CorpusError(f"{soundfont}: not a soundfont (accepted: SF2, SF3)")


def _first_tempo(song: mido.MidiFile) -> int:
    """Microseconds a beat."""
    return next((message.tempo for track in song.tracks for message in track if message.type == "set_tempo"), 500_000)


def _voices(song: mido.MidiFile) -> list[list[tuple[int, mido.Message]]]:
    """Notes of every channel of every track but drums, each with its time in ticks; at most nine of them."""
    voices: list[list[tuple[int, mido.Message]]] = []
    for track in song.tracks:
        time = 0
        by_channel: dict[int, list[tuple[int, mido.Message]]] = {}
        for message in track:
            time += message.time
            if message.type in ("note_on", "note_off") and message.channel != _DRUMS:
                by_channel.setdefault(message.channel, []).append((time, message))
        voices += by_channel.values()
    return voices[:_DRUMS]


def _drums(rng: np.random.Generator, beat: int, length: int) -> list[tuple[int, mido.Message]]:
    """A bar of four beats that chance made, over and over."""
    import mido

    hat, snare = (int(rng.choice(choices)) for choices in ([_CLOSED_HAT, _OPEN_HAT, _RIDE], [_SNARE, _SNARE, _STICK]))
    every = beat // int(rng.choice([1, 2, 2, 4]))
    bar = [(at, hat, int(rng.integers(40, 90))) for at in range(0, 4 * beat, max(1, every))]
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
