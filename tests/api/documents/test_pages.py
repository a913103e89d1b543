"""What README and docs say can be typed, sent and opened: links, commands, options, bodies, rooms, settings, files."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from flask.testing import FlaskClient

import api
from api.cli.main import soundalike
from encoders.registry import REGISTRY, encoder_spec
from retrieval.filters.language import parse_filter

ROOT = Path(api.__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
RESULTS = (
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "RESULTS.md",
    *sorted((ROOT / "encoders" / "weights").glob("*.md")),
)
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """What headings are linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def typed(page: Path) -> Iterator[list[str]]:
    """Every command of a page: lines of its blocks, and what stands in backticks."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^ {4}(?:\$ )?(soundalike [a-z].+)$", text, re.MULTILINE)
    inline = re.findall(r"`(soundalike\s[a-z][^`]+)`", text)
    for line in (*lines, *inline):
        for command in re.split(r" && |; (?=soundalike)", line):
            yield shlex.split(command, comments=True)[1:]


def named(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """The command that these words begin with, and the words behind it."""
    group: click.Command = soundalike
    context = click.Context(soundalike)
    for number, word in enumerate(words):
        if not isinstance(group, click.Group):
            return " ".join(words[:number]), group, words[number:]
        found = group.get_command(context, word)
        if found is None:
            return " ".join(words[:number]), group, words[number:]
        group = found
    return " ".join(words), group, []


def every_command(group: click.Group = soundalike, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from every_command(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", [*PAGES, *RESULTS], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / unquote(path)).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@by_name
def test_every_command_and_option_is_there(page: Path) -> None:
    for words in typed(page):
        name, command, rest = named(words)
        assert name, words
        assert not isinstance(command, click.Group) or not rest, words
        flags = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert flags <= options(command), words
        for flag, value in pairwise(rest):
            if flag == "--filter" and value.startswith("{"):
                parse_filter(json.loads(value))


@by_name
def test_every_condition_that_is_shown_is_one(page: Path) -> None:
    for shown in re.findall(r'`(\{"key": [^`]+)`', page.read_text(encoding="utf-8")):
        parse_filter({"must": json.loads(f"[{shown}]")})


def test_which_commands_have_no_json_is_said() -> None:
    said = re.search(r"; only ([^;.]+) have no such option", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert said is not None
    without = {name for name, command in every_command() if "--json" not in options(command)}
    assert set(re.findall(r"`([^`]+)`", said[1])) == {
        "train" if name.startswith("train ") else name for name in without
    }


def test_bodies_are_well_formed(client: FlaskClient) -> None:
    """Their keys are those of another catalogue: what is not there is a 404, what is wrong a 422."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    sent = re.findall(
        r"curl -s localhost:8000(\S+) -H 'Content-Type: application/json' -d '(.+?)'\n", readme, re.DOTALL
    )
    assert len(sent) == 3
    for path, body in sent:
        answer = client.post(path, json=json.loads(body))
        assert answer.status_code == 404, answer.json
        assert answer.json is not None
        assert answer.json["type"] == "/problems/unknown-track"


def test_the_picture_has_every_room() -> None:
    picture = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    shown = set(re.findall(r"\w+", " ".join(re.findall(r"<text[^>]*>([^<]+)", picture))))
    packages = [ROOT / name for name in ("soundalike", "api", "indexer", "encoders", "retrieval")]
    rooms = {
        head.parent.name
        for package in packages
        for head in (package, *package.iterdir())
        for head in head.glob("__init__.py")
    }
    assert rooms | {"video", "files", "kernels"} <= shown


def test_every_setting_is_in_readme() -> None:
    read = set(
        re.findall(r'"((?:SOUNDALIKE_|DATABASE_)\w+)"', (ROOT / "api" / "settings.py").read_text(encoding="utf-8"))
    )
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(table) == read


@by_name
def test_files_that_pages_name_are_there(page: Path) -> None:
    paths = re.findall(r"`((?:\w+/)+[\w.]*)`", page.read_text(encoding="utf-8"))
    ours = [path for path in paths if (ROOT / path.partition("/")[0]).is_dir() and "NAME" not in path]
    assert [path for path in ours if not (ROOT / path).exists()] == []


def test_readme_lists_every_encoder() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)`[^|]*\|[^|]+\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {name: int(dim) for name, dim in rows} == {name: encoder_spec(name).dim for name in REGISTRY}
