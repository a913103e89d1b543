"""Every command with every option given what no option takes: one clear line, exit 2 or 1, never a traceback."""

import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from api.cli.main import soundalike
from api.cli.usage.failures import failure_of
from api.cli.usage.values import Number, Whole
from encoders.errors import UnknownEncoderError
from encoders.registry import encoder_spec
from retrieval.errors import FilterError, UnknownTrackError
from retrieval.suggestions import did_you_mean
from tests.conftest import Run, loaded

ABSURD = ("", "nan", "inf", "-inf", "-1", "99999999999999999999999", "1e400", "no number", "\x00")


def _commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from _commands(command, (*above, name))
        else:
            yield (*above, name), command


COMMANDS = dict(_commands(soundalike))


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_no_number_is_taken_that_is_none(name: tuple[str, ...]) -> None:
    """NaN, infinity and what is beyond a range is refused as wrong usage by every option that takes a number."""
    command = COMMANDS[name]
    numbers = [one for one in command.params if isinstance(one.type, Number | Whole)]
    unchecked = [one.name for one in command.params if one.type in (click.INT, click.FLOAT)]
    assert unchecked == [], "a number without a range"
    bare = [one.name for one in command.params if type(one.type) in (click.IntRange, click.FloatRange, click.Choice)]
    assert bare == [], "says less of what is accepted than those of api.cli.usage.values"
    for parameter in numbers:
        for raw in ABSURD:
            try:
                value = parameter.type.convert(raw, parameter, click.Context(command))
            except click.UsageError as error:
                failure = failure_of(error)
                assert failure is not None
                assert failure.code == 2
                assert failure.field == parameter.opts[-1]
                continue
            assert math.isfinite(value), (parameter.name, raw)
            if value < 0:
                assert parameter.type.min is None or parameter.type.min < 0, (parameter.name, raw)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_no_file_is_taken_that_is_none(name: tuple[str, ...], tmp_path: Path) -> None:
    """Files that are not there, folders for files and files for folders are told before a command begins."""
    (tmp_path / "a file").write_text("text")
    command = COMMANDS[name]
    for parameter in command.params:
        assert not isinstance(parameter.type, click.Path | click.File), f"{parameter.name}: exits 2 for what is 1"
        if name == ("index",):  # it says what became of tracks that came from there
            continue
        taken = {"file": tmp_path, "folder": tmp_path / "a file", "path": tmp_path / "nowhere"}.get(parameter.type.name)
        if taken is None:
            continue
        for raw, code in ((str(taken), 1), ("", 2), (str(tmp_path / "a file" / "below"), 1)):
            with pytest.raises(click.ClickException) as refused:
                parameter.type.convert(raw, parameter, click.Context(command))
            shown = failure_of(refused.value)
            assert shown is not None
            wrong_end = "a file that ends in" in shown.message
            assert shown.code == (2 if wrong_end else code), (parameter.name, raw, shown)
            assert str(Path(raw)) in shown.message or not raw


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["similar"], 2, "KEY_OR_FILE"),
        (["similar", "x", "--max-per", "genre=2"], 2, "'genre=2' is not artist=N or album=N"),
        (["similar", "x", "--max-per", "artist=0"], 2, "'artist=0' is not artist=N"),
        (["similar", "x", "--mmr", "2"], 2, "0<=x<=1"),
        (["similar", "x", "--from-s", "2"], 2, "a span needs both --from-s and --to-s"),
        (["similar", "x", "--from-s", "3", "--to-s", "2"], 2, "--from-s is 3, --to-s is 2"),
        (["similar", "x", "y", "--from-s", "1", "--to-s", "2"], 2, "need a single KEY_OR_FILE"),
        (["similar", "x", "-n", "0"], 2, "1<=x<=1000"),
        (["similar", "x", "--max-per", "artist=1", "--max-per", "artist=2"], 2, "artist is given twice"),
        (["show", "x"], 1, "no track with key 'x'; `soundalike tracks` lists the keys"),
        (["query", '{"query": {"track": "x"}}'], 2, "accepted: a file, or - and the JSON on standard input"),
        (["correct", "x", "--title", ""], 2, "is empty; accepted: a text (--reset title takes a correction back)"),
        (["correct", "x", "--genre", " "], 2, "is empty; accepted: a text (--reset genre takes a correction back)"),
        (["correct", "x", "--title", "X", "--reset", "title"], 2, "--reset title takes back what another option says"),
        (["correct", "x", "--language", "ja=1", "--reset", "languages"], 2, "--reset languages takes back what"),
        (["path", "x", "y"], 1, "space 'musicnn' holds no track"),
        (["path", "x", "y", "-n", "1"], 2, "2<=x<=100"),
        (["query", "/nowhere"], 1, "/nowhere: no such file"),
        (["index"], 2, "give either a PATH or --pack NAME"),
        (["index", "/nowhere/at all"], 1, "/nowhere/at all: no such file or folder"),
        (["index", "--pack", "imich"], 2, "immich"),
        (["index", "--space", "musicn", "."], 2, "musicnn"),
        (["similar", "x", "--filter", "{"], 2, "not JSON"),
        (["tracks", "--filter", "{}", "--filter", "{}"], 2, 'given twice; accepted: one filter, {"must": [the first,'),
        (["similar", "x", "--filter", '{"mist": []}'], 2, "filter.mist"),
        (["similar", "x"], 1, "space 'musicnn' holds no track"),
        (["rhythm", "x"], 1, "no track with key 'x'"),
        (["rebuild", "--space", "nosuch"], 2, "space 'nosuch' holds no track"),
        (["weights", "fetch", "clmr-samplecnn"], 1, "weights import clmr-samplecnn CHECKPOINT"),
        (["weights", "import", "clmr-samplecnn", __file__], 1, "test_wrong_usage.py"),
        (["--nosuch"], 2, "--nosuch"),
        (["simlar", "x"], 2, "no command 'simlar'; did you mean 'similar'?"),
        (["weights", "fech", "ear"], 2, "no command 'fech'; did you mean 'fetch'?"),
        (["evaluate", "everything"], 2, "accepted: ann, catalogue, compare, models, report, run, video"),
        (["train", "rythm"], 2, "did you mean 'rhythm'?"),
        (["similar", "x", "--limt", "3"], 2, "--limit"),
        (["--json", "similar", "x"], 2, "--json stands behind its command: soundalike similar … --json"),
        (["-n", "3", "similar", "x"], 2, "-n stands behind its command: soundalike similar … -n"),
        (["--json", "evaluate", "ann"], 2, "--json stands behind its command: soundalike evaluate ann … --json"),
        (["evaluate", "--json", "ann"], 2, "--json stands behind its command: soundalike evaluate ann … --json"),
        (["--json"], 2, "no option --json; options of a command stand behind it: soundalike COMMAND … --json"),
        (["--jsn", "similar", "x"], 2, "no option --jsn; did you mean '--json'?"),
        (["similar", "x", "-v"], 2, "-v stands before the command: soundalike -v similar …"),
        (["weights", "list", "--verbose"], 2, "--verbose stands before the command: soundalike --verbose weights list"),
        (["similar", "x", "-n", "five"], 2, "'five' is no whole number; accepted: 1<=x<=1000"),
        (["similar", "x", "-n", "2.5"], 2, "'2.5' is no whole number; accepted: 1<=x<=1000"),
        (["similar", "x", "--mmr", "high"], 2, "'high' is no number; accepted: 0<=x<=1"),
        (["similar", "x", "--strategy", "best"], 2, "did you mean 'best_score'?"),
        (["correct", "x", "--reset", "language"], 2, "did you mean 'languages'?"),
        (["tracks", "-n", "-5"], 2, "-5 is not in the range"),
        (["tracks", "-n", "0"], 2, "0 is not in the range"),
        (["serve", "--bind", "host:99999"], 2, "a port from 1 to 65535"),
        (["serve", "--bind", "127.0.0.1"], 2, "accepted: HOST:PORT"),
        (["serve", "--bind", ":80"], 2, "accepted: HOST:PORT"),
        (["serve", "--workers", "0"], 2, "0 is not in the range"),
        (["serve", "--threads", "-1"], 2, "-1 is not in the range"),
        (["index", ""], 2, "is empty"),
        (["index", " "], 2, "is empty"),
        (["similar", ""], 2, "is empty"),
        (["delete", ""], 2, "is empty"),
        (["similar", "x", "--filter", ""], 2, "is not JSON"),
        (["evaluate", "ann", "--seed", "-1"], 2, "-1 is not in the range"),
        (["evaluate", "ann", "--share", "2"], 2, "--share"),
        (["retarget", "x", "--duration", "60", "--out", "x.mp3"], 2, "accepted: a file that ends in .wav or .flac"),
        (["retarget", "x", "--duration", "60", "--out", "/tmp"], 2, "/tmp is a folder; accepted: a file that ends in"),
        (["match-video", __file__, "--preview", "x.xyz"], 2, "x.xyz ends in .xyz; accepted: a file that ends in .mp4"),
        (["match-video", __file__, "--preview", "/tmp"], 2, "/tmp is a folder; accepted: a file that ends in .mp4"),
        (["retarget", "x", "--duration", "nan", "--out", "x.wav"], 2, "no finite number"),
        (["retarget", "x", "--duration", "60", "--out", "/nowhere/x.wav"], 1, "there is no folder /nowhere"),
        (["export-neighbors", "/nowhere/x.parquet"], 1, "there is no folder /nowhere"),
        (["export-jams", "x", "/"], 1, "is a folder"),
        (["correct", "x", "--year", "10000"], 2, "0<=x<=9999"),
        (["correct", "x", "--vocal-ratio", "nan"], 2, "no finite number"),
        (["analyze", "x", "--stage", "rythm"], 2, "did you mean 'rhythm'?"),
        (["hum", "/"], 1, "is a folder"),
        (["similar", "x", "--space", "nosuch"], 2, "space 'nosuch' holds no track"),
        (["index", "--space", "nosuch", "."], 2, "unknown encoder 'nosuch'"),
        (["evaluate", "models", "ear", "ear"], 2, "BLUE and GREEN are both 'ear'; accepted: two spaces"),
        (["evaluate", "models", "ear", "nosuch"], 1, "space 'ear' holds no track"),
        (["evaluate", "models", "nosuch", "ear"], 2, "space 'nosuch' holds no track"),
        (["similar", "x", "--space", "ear"], 1, "space 'ear' holds no track"),
    ],
)
def test_what_was_typed_is_answered(run: Run, arguments: list[str], code: int, message: str) -> None:
    said = run(*arguments, expect=code).stderr
    assert message in said
    assert said.count("accepted: ") <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["rhythm", "x"], 1, {"code": "unknown-track"}),
        (["tracks", "-n", "-5"], 2, {"code": "wrong-usage", "field": "--limit"}),
        (["tracks", "--limt", "5"], 2, {"code": "wrong-usage", "field": "--limt"}),
        (["tracks", "--filter", '{"mist": []}'], 2, {"code": "filter", "field": "filter.mist"}),
        (["weights", "fetch", "musicn"], 2, {"code": "unknown-encoder"}),
        (["index", "/nowhere"], 1, {"code": "scan"}),
    ],
)
def test_a_program_gets_errors_as_json(run: Run, arguments: list[str], code: int, error: dict[str, str]) -> None:
    done = run(*arguments, "--json", expect=code)
    told = loaded(done)["error"]
    assert {name: told.get(name) for name in error} == error
    assert done.stderr.strip() == f"soundalike: {told['message']}"


@pytest.mark.parametrize(
    "command", [["status"], ["tracks"], ["similar", "x"], ["index", "."], ["demo"], ["serve", "--bind", "127.0.0.1:1"]]
)
def test_a_setting_that_names_no_space_is_named(run: Run, command: list[str]) -> None:
    said = run(*command, expect=1, SOUNDALIKE_SPACE="musicn").stderr
    assert said.startswith(
        "soundalike: SOUNDALIKE_SPACE is 'musicn'; accepted: a space that holds tracks (none yet), or an encoder"
    )
    assert "; did you mean 'musicnn'" in said


def test_a_setting_that_names_a_space_without_tracks_is_named(run: Run) -> None:
    assert (
        "SOUNDALIKE_SPACE is 'ear': space 'ear' holds no"
        in run("similar", "x", expect=1, SOUNDALIKE_SPACE="ear").stderr
    )


def test_json_after_the_end_of_options_is_no_option(run: Run) -> None:
    assert run("rhythm", "--", "--json", expect=1).stdout == ""


def test_a_port_that_is_taken_is_told_and_no_address_is_shown(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("serve", "--bind", f"127.0.0.1:{port}", expect=1).stderr
    assert f"127.0.0.1:{port}: cannot be listened on: address already in use" in said
    assert "http://" not in said


@pytest.mark.parametrize(
    "where", ["os:getcwd", "os:listdir", "json:loads", "sys:exit", "builtins:dict", "random:nosuch", "nosuch:spec"]
)
def test_a_setting_that_names_another_kind_of_function_says_so(where: str) -> None:
    with pytest.raises(UnknownEncoderError, match="'mine'") as refused:
        encoder_spec("mine", {"mine": where})
    failure = failure_of(refused.value)
    assert failure is not None
    assert failure.code == 1  # as of every setting: what was typed is right


def test_shipped_weights_need_no_fetching(run: Run) -> None:
    assert "nothing needs fetching, its weights are here" in run("weights", "fetch", "soundalike").stdout
    assert json.loads(run("weights", "fetch", "soundalike", "--json").stdout)["fetched"] is False


def test_what_was_meant() -> None:
    assert did_you_mean("Limt", ["limit", "space"]) == "; did you mean 'limit'?"
    assert did_you_mean("xyz", ["limit", "space"]) == ""
    assert did_you_mean("best", ["best_score", "sum_scores"]) == "; did you mean 'best_score'?"
    assert did_you_mean("be", ["best_score", "sum_scores"]) == ""


def test_errors_have_names_of_words() -> None:
    failures = [failure_of(error) for error in (UnknownTrackError("x"), FilterError("filter", "is none"))]
    assert [(one.kind, one.code) for one in failures if one] == [("unknown-track", 1), ("filter", 2)]
