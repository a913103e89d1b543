from pathlib import Path

import mido
import pytest

BEAT_S = 0.5
N_BEATS = 32


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A song as POP909 has it: 120 beats a minute, eight bars; C, F, G and C major; a scale over a pulse of chords."""
    folder = tmp_path / "001"
    folder.mkdir()
    beats = [f"{BEAT_S * beat} {float(beat % 2 == 0)} {float(beat % 4 == 0)}" for beat in range(N_BEATS)]
    (folder / "beat_midi.txt").write_text("\n".join(beats))
    chords = [f"{2.0 * bar}\t{2.0 * bar + 2}\t{'CFGC'[bar % 4]}:maj" for bar in range(N_BEATS // 4)]
    (folder / "chord_midi.txt").write_text("\n".join(chords))
    (folder / "key_audio.txt").write_text("0.0\t16.0\tC:maj")
    midi = mido.MidiFile(ticks_per_beat=480)
    midi.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)]))
    for name, notes in (("MELODY", [60, 62, 64, 65]), ("BRIDGE", [72]), ("PIANO", [48])):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        for beat in range(N_BEATS):
            track.append(mido.Message("note_on", note=notes[beat % len(notes)], velocity=90, time=0))
            track.append(mido.Message("note_on", note=notes[beat % len(notes)], velocity=0, time=480))
        midi.tracks.append(track)
    midi.save(folder / "001.mid")
    return folder
