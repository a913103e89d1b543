"""A performance made sound, with what is true of it beside: ``audio.flac`` and ``truth.json`` in the song's own folder.

    {"beats": [[second, position in the bar], …], "key": "A minor", "sections": [[start_s, end_s, function], …],
     "phrases": [[start_s, end_s, letter], …], "melody": {"step_s": 0.02, "midi": [null, 69.0, …]}, …}

`fluidsynth` (LGPL) plays with a soundfont that chance takes; the mix is mono at 22,050 Hz.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from scipy.signal import sosfilt

from encoders.analysis.findings import TONICS
from encoders.training.corpus import CorpusError
from encoders.training.rendering import chance, find_fluidsynth
from encoders.training.songs.playing.band import Performance, Player, perform
from encoders.training.songs.playing.score import read_score, read_structure
from encoders.training.songs.playing.singer import STEP_S, pitches, sing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
AUDIO, TRUTH = "audio.flac", "truth.json"
MELODY_STEP_S = 0.02
_DRUM_CHANNEL = 9
_TICKS_A_SECOND = 1000
_FLAC_FRAME = 4096
_TAIL_S = 1.5


def record_all(
    songs: Iterable[Path], structure: Path, soundfonts: Sequence[Path], out: Path, *, seed: int = 0
) -> Iterator[tuple[str, bool]]:
    """Record songs of POP909, given as folders, to ``OUT/NAME``; what is there is not recorded again.

    Yields
    ------
    The song's name, and whether it was recorded now.

    Raises
    ------
    CorpusError
        If a song or a soundfont cannot be read, or fluidsynth is missing.
    """
    sections = read_structure(structure)
    for song in songs:
        made = out / song.name
        if (made / TRUTH).is_file():
            yield song.name, False
            continue
        rng = chance(song.name, seed)
        performance = perform(read_score(song, sections.get(song.name, ())), rng)
        soundfont = soundfonts[int(rng.integers(len(soundfonts)))]
        waveform, melody = record(performance, soundfont, rng)
        made.mkdir(parents=True, exist_ok=True)
        write_flac(made / AUDIO, waveform)
        written = truth(performance, melody) | {"soundfont": soundfont.stem, "seconds": len(waveform) / SAMPLE_RATE}
        beside = made / f"{TRUTH}.part"
        beside.write_text(json.dumps(written), encoding="utf-8")
        beside.replace(made / TRUTH)
        yield song.name, True


def record(
    performance: Performance, soundfont: Path, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Waveform float32 [samples] at 22,050 Hz, and the melody: MIDI numbers float64 [steps of 0.01 s], NaN between."""
    lead = performance.players[0]
    notes = np.array(lead.notes, np.float64).reshape(-1, 4)
    notes_s = np.column_stack([performance.seconds(notes[:, 0]), performance.seconds(notes[:, 1]), notes[:, 2:]])
    steps = round((performance.beats_s[-1] + _TAIL_S) / STEP_S)
    if lead.program is not None:
        melody = np.full(steps, np.nan)
        for start, end, pitch, _ in notes_s:
            melody[round(start / STEP_S) : max(round(end / STEP_S), round(start / STEP_S) + 4)] = pitch
        band = _play(performance, performance.players, soundfont, rng)
    else:
        # Half of the singers are an octave lower: men.
        notes_s[:, 2] -= 12 * int(rng.random() < 0.5 and notes_s[:, 2].mean() > 62) if len(notes_s) else 0
        melody = pitches(notes_s, steps, rng)
        band = _play(performance, performance.players[1:], soundfont, rng)
        loudness = np.full(steps, 0.7)
        for start, end, _, velocity in notes_s:
            loudness[round(start / STEP_S) : round(end / STEP_S)] = velocity / 127
        voice = sing(melody, loudness, SAMPLE_RATE, rng)[: len(band)]
        level = _rms(band) / (_rms(voice) + 1e-9) * 10 ** (rng.uniform(-6, 5) / 20)
        band[: len(voice)] += np.float32(level) * _in_a_room(voice, rng)
    return _mastered(band, rng), melody


def truth(performance: Performance, melody: NDArray[np.float64]) -> dict[str, Any]:
    """What is true of a performance, as it is written beside its sound."""
    score, beats_s = performance.score, performance.beats_s
    lasting: dict[str, float] = {}
    edges = [*(max(0.0, start) for start, _, _ in score.keys), float(score.n_beats)]
    for (_, tonic, mode), start, end in zip(score.keys, edges, edges[1:], strict=False):
        name = f"{TONICS[tonic]} {mode}"
        lasting[name] = lasting.get(name, 0.0) + end - start
    phrases = [
        (beats_s[min(s, score.n_beats)], beats_s[min(e, score.n_beats)], letter) for s, e, letter in score.sections
    ]
    parts = []
    for function, run in groupby(zip(phrases, score.functions, strict=True), key=lambda pair: pair[1]):
        merged = [phrase for phrase, _ in run]
        parts.append((merged[0][0], merged[-1][1], function))
    every = round(MELODY_STEP_S / STEP_S)
    return {
        "beats": [[round(float(s), 4), int(p)] for s, p in zip(beats_s[:-1], performance.positions, strict=True)],
        "key": max(lasting, key=lambda name: lasting[name]),
        "keys": [
            [round(float(beats_s[int(min(max(0, b), score.n_beats))]), 3), f"{TONICS[t]} {m}"] for b, t, m in score.keys
        ],
        "sections": [[round(float(s), 3), round(float(e), 3), function] for s, e, function in parts],
        "phrases": [[round(float(s), 3), round(float(e), 3), letter] for s, e, letter in phrases],
        "chords": [
            [round(float(s), 3), round(float(e), 3), root, list(notes)]
            for (b0, b1, root, notes) in score.chords
            for s, e in [performance.seconds(np.array([b0, b1]))]
        ],
        "melody": {
            "step_s": MELODY_STEP_S,
            "midi": [None if np.isnan(pitch) else round(float(pitch), 2) for pitch in melody[::every]],
        },
        "melody_by": "voice" if performance.players[0].program is None else performance.players[0].program,
        "drums": any(player.name == "drums" for player in performance.players),
    }


def write_flac(path: Path, waveform: NDArray[np.float32]) -> None:
    """Write mono samples in 16 bits; a run that is killed leaves no half file."""
    beside = path.with_suffix(".part")
    samples = np.clip(np.rint(waveform * 32767), -32768, 32767).astype(np.int16)
    with av.open(str(beside), "w", format="flac") as container:
        stream: AudioStream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for start in range(0, len(samples), _FLAC_FRAME):
            piece = np.ascontiguousarray(samples[None, start : start + _FLAC_FRAME])
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    beside.replace(path)


def _play(
    performance: Performance, players: Sequence[Player], soundfont: Path, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What the players play, float32 [samples], with a tail in which it fades."""
    with tempfile.TemporaryDirectory() as scratch:
        midi, played = Path(scratch) / "band.mid", Path(scratch) / "band.raw"
        _write_midi(midi, performance, players)
        reverb = ["-R", "1"] if rng.random() < 0.5 else ["-R", "0"]
        command = [find_fluidsynth(), "-ni", "-q", *reverb, "-C", "0", "-g", "0.5", "-r", str(SAMPLE_RATE)]
        done = subprocess.run(
            [*command, "-T", "raw", "-O", "s16", "-E", "little", "-F", str(played), str(soundfont), str(midi)],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0 or "fluidsynth: error:" in done.stderr or not played.is_file():
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise CorpusError(f"{performance.score.name}: fluidsynth could not play it with {soundfont}: {lines[-1]}")
        stereo = np.fromfile(played, np.int16).reshape(-1, 2).astype(np.float32) / 32768
    length = round((performance.beats_s[-1] + _TAIL_S) * SAMPLE_RATE)
    mono = stereo.mean(axis=1)[:length]
    return np.pad(mono, (0, length - len(mono)))


def _write_midi(path: Path, performance: Performance, players: Sequence[Player]) -> None:
    import mido

    song = mido.MidiFile(ticks_per_beat=_TICKS_A_SECOND // 2)
    song.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)]))
    channels = iter([channel for channel in range(16) if channel != _DRUM_CHANNEL])
    for player in players:
        drums = player.name == "drums"
        channel = _DRUM_CHANNEL if drums else next(channels)
        program = performance.kit if drums else player.program
        events: list[tuple[int, int, Any]] = [
            (0, 0, mido.Message("program_change", channel=channel, program=program or 0)),
            (0, 0, mido.Message("control_change", channel=channel, control=7, value=min(player.volume, 127))),
            (0, 0, mido.Message("control_change", channel=channel, control=10, value=player.pan)),
        ]
        notes = np.array(player.notes, np.float64).reshape(-1, 4)
        starts, ends = performance.seconds(notes[:, 0]), performance.seconds(notes[:, 1])
        for start, end, (pitch, velocity) in zip(starts, ends, notes[:, 2:], strict=True):
            note, begun = int(np.clip(round(pitch), 0, 127)), round(start * _TICKS_A_SECOND)
            strength = int(np.clip(velocity, 1, 127))
            events.append((begun, 2, mido.Message("note_on", channel=channel, note=note, velocity=strength)))
            events.append(
                (max(begun + 30, round(end * _TICKS_A_SECOND)), 1, mido.Message("note_off", channel=channel, note=note))
            )
        track, now = mido.MidiTrack(), 0
        for time, _, message in sorted(events, key=lambda event: event[:2]):
            track.append(message.copy(time=time - now))
            now = time
        song.tracks.append(track)
    song.save(path)


def _in_a_room(voice: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The voice with some echoes."""
    wet = voice.copy()
    for _ in range(int(rng.integers(0, 4))):
        delay = int(rng.uniform(0.02, 0.3) * SAMPLE_RATE)
        wet[delay:] += np.float32(rng.uniform(0.05, 0.25)) * voice[:-delay]
    return wet


def _mastered(mix: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Equalised, driven, and brought to a level, each by chance."""
    sections = []
    for _ in range(3):
        gain = 10 ** (rng.uniform(-7, 7) / 40)
        omega = 2 * np.pi * float(np.exp(rng.uniform(np.log(60), np.log(8000)))) / SAMPLE_RATE
        alpha, cosine = np.sin(omega) / (2 * rng.uniform(0.4, 1.5)), -2 * np.cos(omega)
        rows = np.array([1 + alpha * gain, cosine, 1 - alpha * gain, 1 + alpha / gain, cosine, 1 - alpha / gain])
        sections.append(rows / rows[3])
    mix = sosfilt(np.array(sections), mix).astype(np.float32)
    mix /= max(_rms(mix), 1e-6)
    if rng.random() < 0.6:  # loud, as records are
        drive = np.float32(rng.uniform(0.2, 0.9))
        mix = np.tanh(drive * mix)
    if rng.random() < 0.3:
        mix = mix + np.float32(_rms(mix) * 10 ** (rng.uniform(-50, -25) / 20)) * rng.standard_normal(len(mix)).astype(
            np.float32
        )
    return np.float32(rng.uniform(0.2, 0.98) / (np.abs(mix).max() + 1e-9)) * mix


def _rms(waveform: NDArray[np.float32]) -> float:
    return float(np.sqrt((waveform.astype(np.float64) ** 2).mean()))
