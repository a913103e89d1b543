"""Voices are gathered: utterances, speakers, sentences, what espeak-ng makes of them, and the command."""

import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from api.cli.commands.teaching import voices as command
from encoders.media.decode import decode
from encoders.training.corpus import CorpusError
from encoders.training.voices import synthesis
from encoders.training.voices.clips import SAMPLE_RATE, SPOKEN, read_clips
from encoders.training.voices.sentences import sentences, translations
from encoders.training.voices.speakers import Speaker, add_speaker
from encoders.training.voices.synthesis import spoken, voices
from encoders.training.voices.utterances import cut_clips, read_speech, spoken_in, trimmed
from indexer.packs.voices import Recording
from tests.conftest import Run, loaded

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng on the PATH")
ANNA = Speaker("de", "anna", "tapes", "recorded", "CC0")


def word(seconds: float, silence_s: float = 0.5, gain: float = 0.3) -> np.ndarray:
    """A hum between two silences."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    quiet = np.zeros(int(silence_s * SAMPLE_RATE))
    return np.concatenate([quiet, gain * np.sin(2 * np.pi * 200 * t), quiet]).astype(np.float32)


def write_wav(path: Path, waveform: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((waveform * 32_767).astype("<i2").tobytes())
    return path


def write_catalogue(path: Path, messages: dict[str, str]) -> None:
    """A compiled gettext catalogue, as its manual lays it out."""
    path.parent.mkdir(parents=True)
    pairs = [("", "Content-Type: text/plain; charset=UTF-8\n"), *sorted(messages.items())]
    offset, tables, body = 28 + 16 * len(pairs), [b"", b""], b""
    for side in (0, 1):
        for pair in pairs:
            text = pair[side].encode()
            tables[side] += struct.pack("<2I", len(text), offset + len(body))
            body += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    path.write_bytes(head + tables[0] + tables[1] + body)


def test_silence_around_speech_goes() -> None:
    kept = trimmed(word(1.0, silence_s=2.0))
    assert 1.0 <= len(kept) / SAMPLE_RATE <= 1.2
    assert len(trimmed(np.zeros(SAMPLE_RATE, np.float32))) == 0
    assert len(trimmed(word(1.0)[:400])) == 0


@pytest.mark.parametrize("gain", [0.01, 0.9])
def test_every_clip_is_as_loud(gain: float) -> None:
    (clip,) = cut_clips([word(4.0, silence_s=0.0, gain=gain)], seed=0)
    assert 10 * np.log10(np.mean(np.square(clip))) == pytest.approx(-20, abs=0.1)


def test_words_are_joined_and_speeches_are_cut() -> None:
    made = list(cut_clips([word(0.8)] * 30 + [word(40.0), word(5.0)], seed=1))
    seconds = [len(clip) / SAMPLE_RATE for clip in made]
    assert all(2 <= length <= 15 for length in seconds)
    assert sum(seconds) == pytest.approx(30 * 0.8 + 45, rel=0.3)
    assert [len(clip) for clip in cut_clips([word(0.8)] * 30, seed=1)] == [
        len(clip) for clip in cut_clips([word(0.8)] * 30, seed=1)
    ]


def test_a_clip_is_never_one_lonely_word() -> None:
    assert list(cut_clips([word(0.8)], seed=0)) == []
    assert len(list(cut_clips([word(0.8), word(1.0)], seed=0))) == 1


def test_recordings_are_heard_once_and_the_longest_first(tmp_path: Path) -> None:
    files = [write_wav(tmp_path / f"{name}.wav", word(seconds)) for name, seconds in zip("abc", (1, 3, 1), strict=True)]
    (tmp_path / "torn.wav").write_bytes(b"RIFF")
    refused: dict[str, str] = {}
    heard = list(spoken_in([*files, tmp_path / "torn.wav"], on_error=refused.__setitem__))
    assert [round(len(one) / SAMPLE_RATE) for one in heard] == [4, 2]
    assert list(refused) == [str(tmp_path / "torn.wav")]


def test_a_telephone_recording_is_read(tmp_path: Path) -> None:
    path = tmp_path / "silence.gsm"
    path.write_bytes((b"\xd8\x20\xa2\xe1\x5a" + b"\x50\x00\x49\x24\x92\x49\x24" * 4) * 50)  # a second of silence
    assert len(read_speech(path)) == pytest.approx(SAMPLE_RATE, abs=SAMPLE_RATE / 50)


def test_a_speaker_is_written_once_and_in_full(tmp_path: Path) -> None:
    seconds = add_speaker(tmp_path, ANNA, [word(5.0)] * 4, longest_s=12)
    first, *_, last = rows = read_clips(tmp_path / SPOKEN)
    assert [row.path for row in rows] == [f"recorded/de/tapes__anna/{number:03d}.flac" for number in range(3)]
    assert (first.language, first.speaker, first.source, first.kind, first.licence) == (
        *("de", "anna", "tapes", "recorded", "CC0"),
    )
    audio = decode(tmp_path / last.path, sample_rates=[SAMPLE_RATE])
    assert audio.duration_s == pytest.approx(last.seconds, abs=0.01)
    assert seconds == pytest.approx(sum(row.seconds for row in rows))
    assert add_speaker(tmp_path, ANNA, iter(())) == 0
    assert read_clips(tmp_path / SPOKEN) == rows


def test_clips_that_a_killed_run_left_do_not_count(tmp_path: Path) -> None:
    left = tmp_path / ANNA.folder / "007.flac"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    add_speaker(tmp_path, ANNA, [word(5.0)])
    assert not left.exists()
    assert len(read_clips(tmp_path / SPOKEN)) == 1


def test_a_speaker_who_says_nothing_leaves_nothing(tmp_path: Path) -> None:
    assert add_speaker(tmp_path, ANNA, [np.zeros(SAMPLE_RATE, np.float32)]) == 0
    assert not (tmp_path / ANNA.folder).exists()


def test_names_out_of_packages_stay_in_the_folder(tmp_path: Path) -> None:
    add_speaker(tmp_path / "in", Speaker("de", "../../x", "a/b", "recorded", "CC0"), [word(5.0)])
    (row,) = read_clips(tmp_path / "in" / SPOKEN)
    assert row.path == "recorded/de/a_b__.._.._x/000.flac"
    assert (tmp_path / "in" / row.path).is_file()


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("The king is dead, my lord. Run!\nWe must leave <b>this place</b> now.", "en", 2),
        ("Deals $damage points of damage to it.", "en", 0),
        ("Settings for everything else", "en", 0),
        ("他们的力量来自山中的古老魔法。我们必须马上离开这座城市。", "zh", 2),
        ("Король мёртв, мой господин, бежим отсюда.", "ru", 1),
        ("The king is dead, my lord, let us go.", "ru", 0),
        ("Король мёртв, мой господин, бежим отсюда.", "de", 0),
    ],
)
def test_what_reads_like_a_sentence(text: str, language: str, found: int) -> None:
    assert len(sentences([text, text], language)) == found


def test_translations_by_language(tmp_path: Path) -> None:
    original, german = "scene^We must leave this place at once.", "Wir müssen sofort von hier fort."
    write_catalogue(tmp_path / "nb_NO/game/a.mo", {original: "Vi må dra herfra med en gang."})
    write_catalogue(tmp_path / "fr/game/a.mo", {original: "Il faut partir d'ici tout de suite."})
    write_catalogue(tmp_path / "de/game/a.mo", {original: german, "OK": "OK"})
    (tmp_path / "de/game/broken.mo").write_bytes(b"\xde\x12\x04\x95")
    assert german in list(translations(tmp_path, "de"))
    assert "OK" not in list(translations(tmp_path, "de"))
    assert sentences(translations(tmp_path, "no"), "no") == ["Vi må dra herfra med en gang."]
    assert sentences(translations(tmp_path, "en"), "en") == ["We must leave this place at once."]


@needs_espeak
def test_espeak_reads_sentences_until_there_is_enough() -> None:
    first, second = voices("pl", count=2)
    assert first.name != second.name
    assert voices("xx", count=2) == []
    assert voices("pl", count=2) == [first, second]
    said = list(spoken(first, ["Król nie żyje, mój panie."] * 50, seconds=4))
    assert 4 <= sum(map(len, said)) / SAMPLE_RATE < 8
    assert all(len(one) > SAMPLE_RATE / 2 for one in said)
    with pytest.raises(CorpusError, match="read none of 0 sentences"):
        list(spoken(first, [], seconds=1))


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(synthesis.importlib.sys.modules, "pypinyin", None)
    with pytest.raises(CorpusError, match=r"zh: .*pip install pypinyin"):
        synthesis.spelling("zh")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CorpusError, match=r"espeak-ng is not on the PATH.*--no-synthesis"):
        voices("de", count=1)


@pytest.fixture
def tapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two people have been recorded, and a game be translated."""
    said = {who: write_wav(tmp_path / f"{who}.wav", word(4.0)) for who in ("anna", "olga")}
    recordings = [Recording(said[who], code, who, "tapes", "CC0") for who, code in {"anna": "de", "olga": "ru"}.items()]
    write_catalogue(
        tmp_path / "texts/de/game/a.mo",
        {f"source {number}": f"Der König {'sehr ' * number}lange nicht mehr gesehen." for number in range(1, 15)}
        | {f"other {number}": f"Wir müssen {'bald ' * number}von diesem Ort fort." for number in range(1, 17)}
        | {f"third {number}": f"Das Tor bleibt {'noch ' * number}für alle verschlossen." for number in range(1, 16)},
    )
    monkeypatch.setattr(command, "fetch_voices", lambda name, into: recordings)
    monkeypatch.setattr(command, "fetch_texts", lambda into: tmp_path / "texts")


@pytest.mark.usefixtures("tapes")
def test_the_command_gathers_recorded_voices(run: Run, tmp_path: Path) -> None:
    arguments = ("train", "voices", "--to", tmp_path / "out", "--pack", "tapes", "--no-synthesis", "--json")
    answer = loaded(run(*arguments, "--language", "de"))
    assert list(answer["minutes"]) == ["de"]
    assert answer["minutes"]["de"]["recorded"] == pytest.approx(4.1 / 60, rel=0.05)
    assert set(loaded(run(*arguments))["minutes"]) == {"de", "ru"}
    assert [clip.speaker for clip in read_clips(tmp_path / "out" / SPOKEN)] == ["anna", "olga"]


@needs_espeak
@pytest.mark.usefixtures("tapes")
def test_the_command_lets_espeak_speak_and_says_what_it_cannot(run: Run, tmp_path: Path) -> None:
    languages = ("--language", "de", "--language", "sv")
    arguments = ("--to", tmp_path / "out", "--pack", "tapes", "--voices", "2", "--seconds", "10", *languages)
    done = run("train", "voices", *arguments, expect=3)
    assert "synthesised sv: 0 sentences, 40 are needed" in done.stderr
    assert "de: recorded 0.1 min, synthesised 0." in done.stdout
    made = [clip for clip in read_clips(tmp_path / "out" / SPOKEN) if clip.kind == "synthesised"]
    assert {(clip.language, clip.source) for clip in made} == {("de", "espeak-ng")}
    assert len({clip.speaker for clip in made}) == 2


@pytest.mark.usefixtures("tapes")
def test_without_espeak_nothing_is_begun(run: Run, tmp_path: Path) -> None:
    done = run("train", "voices", "--to", tmp_path / "out", expect=1, PATH="")
    assert "espeak-ng is not on the PATH" in done.stderr
    assert not (tmp_path / "out").exists()
