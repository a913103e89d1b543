"""From voices to what is ours of the network that hears them.

`train voices` (spoken) → `train sing` (the same, sung) → `train vocals`
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from api.cli import tables
from api.cli.options import FAILED_FILES, json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import SEED, NewFile, NewFolder, Number, ReadableFolder, Whole
from api.settings import read_settings
from indexer.packs.known_voices import VOICE_PACKS
from indexer.packs.voices import Recording, fetch_texts, fetch_voices


@click.command("voices")
@click.option("--to", "folder", required=True, type=NewFolder(), help="To add to.")
@click.option("--pack", "packs", multiple=True, help="Of recorded voices, instead of all; may be given several times.")
@click.option("--language", "languages", multiple=True, help="ISO 639-1, instead of all; may be given several times.")
@click.option("--synthesis/--no-synthesis", default=True, show_default=True, help="Whether espeak-ng speaks too.")
@click.option("--voices", "count", type=Whole(1, 12), default=6, show_default=True, help="A language has.")
@click.option("--seconds", type=Number(10), default=90.0, show_default=True, help="A synthesised voice says.")
@json_option
def gather_voices(
    folder: Path,
    packs: tuple[str, ...],
    languages: tuple[str, ...],
    synthesis: bool,
    count: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Gather speech in many languages to learn from, and list who speaks which in `spoken.tsv`.

    Recorded people come out of Debian packages, the rest is read out by espeak-ng. A speaker who is there is not done
    again. What may be done with each: encoders/weights/VOICES.md.
    """
    from encoders.training.voices.clips import SPOKEN, read_clips
    from encoders.training.voices.synthesis import find_espeak

    if synthesis:
        find_espeak()
    left_out: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    packs_dir = read_settings().packs_dir / "voices"  # music packs of the same name lie beside
    for name in packs or VOICE_PACKS:
        _add_recorded(folder, fetch_voices(name, packs_dir), languages, left_out, quiet=as_json)
    if synthesis:
        _add_synthesised(folder, fetch_texts(packs_dir), languages, left_out, _Amount(count, seconds), quiet=as_json)
    minutes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for clip in read_clips(folder / SPOKEN) if (folder / SPOKEN).exists() else []:
        minutes[clip.language][clip.kind] += clip.seconds / 60
    if as_json:
        print_json({"minutes": minutes, "left_out": left_out})
    else:
        for name, reason in left_out.items():
            echo(f"{name}: {reason}", err=True)
        for language, kinds in sorted(minutes.items()):
            echo(f"{language}: " + ", ".join(f"{kind} {time:.1f} min" for kind, time in sorted(kinds.items())))
    return FAILED_FILES if left_out else 0


@dataclass(frozen=True)
class _Amount:
    """How many voices a language gets from the synthesiser, and how long each speaks."""

    voices: int
    seconds: float


def _add_recorded(
    folder: Path, recordings: list[Recording], languages: tuple[str, ...], left_out: dict[str, str], *, quiet: bool
) -> None:
    """Add each speaker of a pack."""
    from encoders.training.voices.speakers import Speaker, add_speaker
    from encoders.training.voices.utterances import spoken_in

    files: dict[Speaker, list[Path]] = defaultdict(list)
    for one in recordings:
        if not languages or one.language in languages:
            speaker = Speaker(one.language, one.speaker, one.source, "recorded", one.licence)
            files[speaker].append(one.path)
    with tables.progress("listening", quiet=quiet) as done:
        for number, (speaker, paths) in enumerate(files.items(), start=1):
            add_speaker(folder, speaker, spoken_in(paths, on_error=left_out.__setitem__))
            done(number, len(files), f"{speaker.source}, {speaker.language}")


def _add_synthesised(
    folder: Path, texts: Path, languages: tuple[str, ...], left_out: dict[str, str], amount: _Amount, *, quiet: bool
) -> None:
    """Let espeak-ng read out; a language without sentences, a voice or its writing is left out with a reason."""
    from encoders.errors import EncoderError
    from encoders.training.voices.sentences import LOCALES, sentences, translations
    from encoders.training.voices.speakers import add_speaker
    from encoders.training.voices.synthesis import FEWEST_SENTENCES, spoken, voices

    asked = languages or sorted({"en", *LOCALES.values()})
    with tables.progress("speaking", quiet=quiet) as done:
        for number, language in enumerate(asked, start=1):
            read = sentences(translations(texts, language), language)
            cast = voices(language, count=amount.voices)
            if len(read) < FEWEST_SENTENCES or not cast:
                why = f"{len(read)} sentences, {FEWEST_SENTENCES} are needed" if cast else "espeak-ng does not speak it"
                left_out[f"synthesised {language}"] = why
                continue
            try:
                for voice in cast:
                    add_speaker(folder, voice.speaker, spoken(voice, read, seconds=amount.seconds))
            except EncoderError as error:
                left_out[f"synthesised {language}"] = str(error)
            done(number, len(asked), language)


@click.command("sing")
@click.argument("voices", type=ReadableFolder())
@click.option(
    "--songs",
    required=True,
    type=ReadableFolder(),
    help="POP909, a folder a song, with the human labels `melody.txt` and `tempo.txt`.",
)
@click.option("--seconds", type=Number(1), default=120.0, show_default=True, help="A speaker sings.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@json_option
def sing_voices(voices: Path, songs: Path, seconds: float, seed: int, as_json: bool) -> int:
    """Let the speakers of the folder VOICES sing, and list it in `sung.tsv`; goes on where it was stopped.

    Nobody sings longer than three times what they said.
    """
    from encoders.training.singing.sung_corpus import SungCorpus, sing_corpus
    from encoders.training.voices.clips import Clip, read_clips

    corpus = SungCorpus(voices, songs, seed)
    singers = {(clip.language, clip.source, clip.speaker) for clip in read_clips(corpus.spoken)}
    heard, sung_s, failed = set(), 0.0, []
    with tables.progress("singing", quiet=as_json) as done:
        for sung in sing_corpus(corpus, seconds=seconds):
            if isinstance(sung, Clip):
                heard.add((sung.language, sung.source, sung.speaker))
                sung_s += sung.seconds
            else:
                failed.append(str(sung))
            done(len(heard), len(singers), f"{sung_s / 60:.1f} min, {len(failed)} phrases failed")
    if as_json:
        print_json({"minutes": sung_s / 60, "singers": len(heard), "failed": failed})
    else:
        for reason in failed:
            echo(reason, err=True)
        echo(f"{corpus.sung}: {sung_s / 60:.1f} min more, by {len(heard)} of {len(singers)} speakers")
    return FAILED_FILES if failed else 0


@click.command("vocals")
@click.argument("voices", type=ReadableFolder())
@click.option("--music", required=True, type=ReadableFolder(), help="A corpus in which nobody sings.")
@click.option("--out", required=True, type=NewFile(makes_folder=True), help="Gets the weights.")
@click.option("--scenes", type=Whole(1), default=4500, show_default=True, help="Of 20 s, to learn from.")
@click.option("--steps", type=Whole(1), default=2400, show_default=True)
@click.option("--batch-size", type=Whole(1), default=8, show_default=True, help="Scenes in a step.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@json_option
def train_vocals(
    voices: Path, music: Path, out: Path, scenes: int, steps: int, batch_size: int, seed: int, as_json: bool
) -> None:
    """Train what is ours of `vocals` on the voices in VOICES over music; goes on where it was stopped."""
    from encoders.training.loop import Schedule
    from encoders.training.voices import recipes

    settings = Schedule(
        steps=steps, batch_size=batch_size, learning_rate=1e-3, warmup_steps=100, weight_decay=1e-2, seed=seed
    )
    with tables.progress("training", quiet=as_json) as done:
        task = recipes.Task(
            scenes,
            read_settings().weights_dir,
            on_heard=lambda number, whole: done(number, whole, "heard to learn from or to judge by"),
            on_step=lambda step, loss: done(step, steps, f"loss {loss:.3f}"),
        )
        report = recipes.train_vocals(recipes.Sources(voices, music), out, settings, task)
    if as_json:
        print_json(asdict(report))
    else:
        for name, value in report.after.items():
            echo(f"{name} on sources that were not learnt from: {value:.3f}, before {report.before[name]:.3f}")
        echo(f"{report.weights}: what is ours; as encoders/weights/{report.weights.name} it goes to everyone")
