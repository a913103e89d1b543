"""What an installation needs: every library is declared, and FAISS, which must be chosen, is asked for in one line."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest

from api.cli.main import soundalike
from tests.conftest import Run

ROOT = Path(__file__).parents[2]
PACKAGES = ("soundalike", "encoders", "retrieval", "indexer", "api")
WITHOUT_FAISS = "import sys; sys.modules['faiss'] = None; "
NEEDED = "FAISS is missing: install soundalike[cpu] or soundalike[gpu], never both"


def imported(path: Path) -> Iterator[str]:
    """Libraries that a module imports, at its top or later, but not what only a type checker reads."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from (name.partition(".")[0] for name in names)


def plain(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def test_every_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = (project["optional-dependencies"][extra] for extra in ("cpu", "gpu", "fingerprints", "training"))
    declared = {plain(one) for one in (*project["dependencies"], *(one for extra in optional for one in extra))}
    modules = {path: set(imported(path)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    libraries = set().union(*modules.values()) - set(PACKAGES) - set(sys.stdlib_module_names)
    distributions = packages_distributions()
    undeclared = {one for one in libraries if not {plain(name) for name in distributions.get(one, [one])} & declared}
    assert not undeclared, {one: [str(path) for path, used in modules.items() if one in used] for one in undeclared}
    assert {"faiss", "flask", "numpy"} <= libraries


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_without_faiss_there_is_help_all_the_same() -> None:
    done = python(WITHOUT_FAISS + "from api.cli.main import main; main(sys.argv[1:])", "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["similar", "x"], ["serve"], ["tracks"]])
def test_without_faiss_a_command_says_what_to_install(arguments: list[str]) -> None:
    done = python(WITHOUT_FAISS + "from api.cli.main import main; main(sys.argv[1:])", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"soundalike: {NEEDED}\n")


def test_without_faiss_an_import_says_what_to_install() -> None:
    done = python(WITHOUT_FAISS + "from api.wiring import open_soundalike")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"retrieval.errors.MissingLibraryError: {NEEDED}"
    assert done.stderr.count("Error: ") == 1
    caught = WITHOUT_FAISS + "\ntry:\n  import api.http.app\nexcept ImportError as error:\n  print(error)"
    assert python(caught).stdout == f"{NEEDED}\n"


HEAVY = ("flask", "torch", "av", "numba", "scipy", "alembic", "matplotlib", "pyarrow", "sklearn", "mutagen")
"""Each takes a tenth of a second to seconds."""


def test_help_waits_for_no_library_that_takes_its_time() -> None:
    listed = f"import sys; print([one for one in {(*HEAVY, 'sqlalchemy', 'faiss', 'pydantic')} if one in sys.modules])"
    assert python(f"from api.cli.main import soundalike, COMMANDS; {listed}").stdout == "[]\n"


def test_a_question_about_a_track_waits_for_nothing_that_hears(
    environment: dict[str, str], run: Run, indexed_tones: Path
) -> None:
    asked = f"""
import sys
from api.cli.main import main
try:
    main(["similar", "music/low/tone00.wav"])
except SystemExit as end:
    print(end.code, [one for one in {HEAVY} if one in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "tone01.wav" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 []"


def test_every_command_is_where_its_name_says() -> None:
    context = click.Context(soundalike)
    for name in soundalike.list_commands(context):
        command = soundalike.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
