"""All that is printed gets out, whatever the stream takes, and does nothing to a terminal; JSON stays JSON."""

import json
import os
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from api.cli.terminal import BROKEN_PIPE, dumped, printable
from api.wiring import Soundalike
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded

# What a title may hold, and what no terminal may be given of it.
NASTY = {
    "clears the screen": "\x1b[2J\x1b[Hgone",
    "sets the window's title": "\x1b]0;owned\x07x",
    "of one byte": "\x9b31mred",
    "links elsewhere": "\x1b]8;;http://x.example\x1b\\y\x1b]8;;\x1b\\",
    "goes back": "abc\b\b\bxyz",
    "returns": "good\rbad",
    "breaks the line": "one\ntwo",
    "breaks it otherwise": "one\u2028two\u2029three\x85four\x0bfive\x0csix",
    "turns around": "photo\u202egnp.exe",
    "isolates": "\u2066a\u2069\u2067b",
    "marks": "\u200fa\u200eb\u061c",
    "rings": "\a\a",
    "deletes": "a\x7fb",
    "jumps": "a\tb",
    "marks its order": "\ufeffa",
    "annotates": "\ufff9a\ufffab\ufffb",
    "is markup": "[red]a[/red] [/nothing] [link=http://x]b :smile:",
}
WIDE = (
    "音楽の歴史",
    "한국어 노래",
    "\uff37\uff49\uff44\uff45",
    "🎵🎶🎵",
    "e\u0301 combined",
    "ไทย",
    "עברית",
    "العربية",
    "👩‍👩‍👧 family",
)
LONG = "long " * 200

OBEYED = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_harmless(text: str) -> bool:
    lines = text.split("\n")
    return not any(unicodedata.category(one) in OBEYED or one in BIDI for line in lines for one in line)


@pytest.fixture
def catalogue(soundalike: Soundalike, rng: np.random.Generator) -> list[str]:
    """Tracks whose titles are those above, each by a key that holds it too."""
    titles = [*NASTY.values(), *WIDE, LONG]
    keys = [f"k{number} {title}"[:300] for number, title in enumerate(titles)]
    soundalike.catalog.store_many(
        [
            replace(analysis(key, rng), title=title, artist=title, album=title)
            for key, title in zip(keys, titles, strict=True)
        ]
    )
    return keys


Done = subprocess.CompletedProcess[bytes]
Printed = Callable[..., list[Done]]

# Commands one after the other, each with files for its streams.
IN_TURN = """
import os, sys
from api.cli.main import main
folder, codes, commands = sys.argv[1], [], [[]]
for word in sys.argv[2:]:
    if word == "--then--":
        commands.append([])
    else:
        commands[-1].append(word)
for number, command in enumerate(commands):
    for stream, descriptor in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(f"{folder}/{number}.{stream}", os.O_WRONLY | os.O_CREAT), descriptor)
    try:
        main(command)
    except SystemExit as end:
        codes.append(end.code)
    sys.stdout.flush(), sys.stderr.flush()
with open(f"{folder}/codes", "w") as file:
    print(*codes, file=file)
"""


@pytest.fixture
def names(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"SOUNDALIKE_SPACE": "e", "PYTHONPATH": os.getcwd()}


@pytest.fixture
def piped(names: dict[str, str]) -> Callable[..., Done]:
    """Run a command in a shell, with what follows it there."""

    def call(*arguments: str, shell: str) -> Done:
        program = [sys.executable, "-c", "from api.cli.main import main; main()", *arguments]
        line = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *program]
        return subprocess.run(line, capture_output=True, env=names, check=False)

    return call


@pytest.fixture
def printed(names: dict[str, str], tmp_path: Path) -> Printed:
    """Run commands in a process of their own, whose streams are as its environment says."""

    def call(*commands: Sequence[str | bytes], **changed: str) -> list[Done]:
        folder = tempfile.mkdtemp(dir=tmp_path)
        words = [word for command in commands for word in (*command, "--then--")][:-1]
        program = [sys.executable, "-c", IN_TURN, folder, *words]
        ended = subprocess.run(program, capture_output=True, env=names | changed, check=False)
        assert ended.returncode == 0, ended
        codes = map(int, Path(folder, "codes").read_text().split())
        streams = [
            [Path(folder, f"{n}.{name}").read_bytes() for name in ("stdout", "stderr")] for n in range(len(commands))
        ]
        return [Done(command, code, *said) for command, code, said in zip(commands, codes, streams, strict=True)]

    return call


ENCODINGS: dict[str, dict[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "ascii:strict": {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "koi8-r": {"PYTHONIOENCODING": "koi8-r"},
    "utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "C": {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONIOENCODING": ""},
}


@pytest.mark.parametrize("stream", ENCODINGS)
def test_every_encoding_takes_tables_and_json(catalogue: list[str], printed: Printed, stream: str) -> None:
    changed = ENCODINGS[stream]
    listed, wrong_key = ("tracks", "--json"), ("similar", "Ä 音 \x1b[2J")
    shown, answer, wrong = printed(("tracks",), listed, wrong_key, **changed)
    assert (shown.returncode, shown.stderr) == (0, b""), shown.stderr
    encoding = changed.get("PYTHONIOENCODING", "").partition(":")[0] or "utf-8"
    text = shown.stdout.decode(encoding)
    assert is_harmless(text)
    assert all(f"k{number}" in text for number in range(len(catalogue)))

    assert (answer.returncode, answer.stderr) == (0, b"")
    assert [track["track"] for track in json.loads(answer.stdout.decode(encoding))] == catalogue

    assert wrong.returncode == 1
    assert b"Traceback" not in wrong.stderr
    assert is_harmless(wrong.stderr.decode(encoding))
    assert b"\\x1b[2J" in wrong.stderr


@pytest.mark.parametrize("width", ["60", "100", "200"])
def test_columns_are_aligned_and_nothing_in_them_is_obeyed(catalogue: list[str], run: Run, width: str) -> None:
    query = ("similar", catalogue[0], "-n", "100")
    for command in (("tracks",), query, ("path", catalogue[0], catalogue[3], "-n", "5")):
        text = run(*command, SOUNDALIKE_SPACE="e", COLUMNS=width).stdout
        assert is_harmless(text), command
        bordered = [line for line in text.split("\n") if line and line[0] in "┏┃┡│└"]
        assert len(bordered) > 5
        assert len({cell_len(line) for line in bordered}) == 1, command
        assert max(cell_len(line) for line in text.split("\n")) <= int(width)
    corrected = run("correct", catalogue[0], "--title", NASTY["turns around"], SOUNDALIKE_SPACE="e").stdout
    assert is_harmless(corrected)
    assert "photo\\u202egnp.exe" in corrected


def test_no_columns_are_as_many_as_there_are_without_a_terminal(catalogue: list[str], run: Run) -> None:
    assert run("tracks", COLUMNS="0").stdout == run("tracks", COLUMNS="").stdout != ""


def test_all_of_a_long_name_and_all_markup_is_shown(catalogue: list[str], run: Run) -> None:
    text = run("tracks", COLUMNS="200").stdout
    names = [name.strip() for name in text.split("\n")[1].strip("┃").split("┃")]
    assert names == ["track", "title", "artist", "length"]  # as in JSON, where `key` is the music's
    rows = [line for line in text.split("\n") if line.startswith("│")]
    whole = "".join(line.split("│")[2].strip() for line in rows)
    assert NASTY["is markup"].replace(" ", "") in whole.replace(" ", "")
    assert whole.count("long") == 200


@pytest.mark.parametrize("name", NASTY)
def test_what_is_printable_is_harmless_and_says_what_it_was(name: str) -> None:
    shown = printable(NASTY[name])
    assert is_harmless(shown)
    assert "\n" not in shown
    for encoding in ("ascii", "latin-1", "cp1252", "shift_jis", "utf-8"):
        assert printable(NASTY[name], encoding).encode(encoding)
    if name != "is markup":
        assert "\\" in shown


def test_what_is_harmless_stays() -> None:
    for text in (*WIDE, "Ä – × → …", "a\u200db", "\U0010fffd"):
        assert printable(text) == text
    assert printable("0:10 – 0:20 × 1 → Ä", "ascii") == "0:10 - 0:20 x 1 -> \\xc4"
    assert printable("0:10 – 0:20 Ä", "cp1252") == "0:10 – 0:20 Ä"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "utf-16"])
def test_json_says_the_same_in_every_encoding(encoding: str) -> None:
    value = {"a": [*NASTY.values(), *WIDE, "caf\udce9", "\ud800", "\U0001f3b5"], "b\udcff": 1.5}
    assert json.loads(dumped(value, encoding).encode(encoding).decode(encoding)) == value
    assert os.fsencode(json.loads(dumped({"path": os.fsdecode(b"caf\xe9")}))["path"]) == b"caf\xe9"


@pytest.mark.parametrize("stream", ["ascii", "utf-8", "C"])
def test_wrong_usage_is_told_in_any_encoding(printed: Printed, stream: str) -> None:
    usage, helped = printed(("tracks", "--nonsense=Ä\x1b[2J音"), ("--help",), **ENCODINGS[stream])
    assert (usage.returncode, b"Traceback" in usage.stderr, b"\x1b" in usage.stderr) == (2, False, False)
    assert helped.returncode == 0


@pytest.mark.parametrize("stream", ["ascii", "utf-8", "C"])
def test_names_of_files_that_are_no_text_are_told(
    catalogue: list[str], printed: Printed, tmp_path: Path, stream: str
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.m3u8"
    with open(name, "wb") as file:
        file.write(b"\xff\x81nothing.wav\n" + catalogue[-2].encode() + b"\n")
    changed = ENCODINGS[stream]
    similar = [("similar", wrong) for wrong in (b"caf\xe9", b"--filter=\xff", b"\xff.m3u")]
    done, shown, *all_refused = printed(("continue", name, "--json"), ("continue", name), *similar, **changed)
    assert (done.returncode, b"Traceback" in done.stderr) == (3, False), done.stderr
    (left,) = json.loads(done.stdout)["left_out"]
    assert os.fsencode(left["playlist"]) == b"caf\xe9.m3u8"
    assert os.fsencode(left["tried"][-1]) == b"\xff\x81nothing.wav"
    assert (shown.returncode, b"Traceback" in shown.stderr) == (3, False)
    for refused in all_refused:
        assert (refused.returncode, b"Traceback" in refused.stderr) == (2, False)
        assert b"is not UTF-8" in refused.stderr
    (setting,) = printed(("tracks",), **changed, SOUNDALIKE_SPACE="\udcff")
    assert b"Traceback" not in setting.stderr


@pytest.mark.parametrize("command", [("tracks",), ("tracks", "--json"), ("--help",)])
def test_nobody_reads_on(catalogue: list[str], piped: Callable[..., Done], command: tuple[str, ...]) -> None:
    """`true` reads nothing, so that writing fails; a full disk fails as well, and says so."""
    for shell, codes in (("| true", {0, 1, BROKEN_PIPE}), ("| head -c 1", {0, 1, BROKEN_PIPE}), (">&-", {0, 1})):
        done = piped(*command, shell=shell)
        assert done.returncode in codes, (shell, done)
        assert b"Traceback" not in done.stderr, (shell, done.stderr)
        assert b"Exception ignored" not in done.stderr, (shell, done.stderr)
    if command != ("--help",):
        full = piped(*command, shell="> /dev/full")
        assert full.returncode == 1
        assert full.stderr == b"soundalike: standard output: no space left on device\n"


def test_a_closed_pipe_is_told_by_the_code(catalogue: list[str], piped: Callable[..., Done]) -> None:
    for command in (("tracks",), ("tracks", "--json")):
        done = piped(*command, shell="| (exec 0<&-; sleep 2)")
        assert (done.returncode, done.stderr) == (BROKEN_PIPE, b""), command


def test_nothing_prints_past_the_one_door() -> None:
    """What gets to a terminal otherwise would not be made harmless."""
    for path in Path("api/cli").rglob("*.py"):
        text = path.read_text()
        if path.name != "terminal.py":
            for way in ("click.echo(", "click.secho(", "Console(", "print(", "sys.stdout.write("):
                assert not any(line.lstrip().startswith(way) or f" {way}" in line for line in text.splitlines()), (
                    path,
                    way,
                )


def test_json_is_as_it_was_stored(catalogue: list[str], run: Run) -> None:
    tracks: list[dict[str, Any]] = loaded(run("tracks", "--json"))
    assert [track["title"] for track in tracks] == [*NASTY.values(), *WIDE, LONG]
