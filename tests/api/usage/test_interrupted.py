"""Ctrl-C ends the program at any moment, and never with a traceback."""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Interrupted when a module is looked for.
PROGRAM = """
import os, signal, sys
at = sys.argv.pop(1)

class Interrupting:
    def find_spec(self, name, *_):
        if name == at:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from api.cli.program import run
run()
"""
WHAT_STAYS = "; what was stored stays, run the same command to go on"


@pytest.mark.parametrize(
    ("at", "command", "code", "said"),
    [
        ("api.cli.main", "status", -signal.SIGINT, ""),
        ("api.cli.lazy", "--help", -signal.SIGINT, ""),
        ("api.cli.commands.listing", "status", 130, "interrupted"),
        ("api.cli.commands.indexing", "index", 130, f"interrupted{WHAT_STAYS}"),
        ("retrieval.catalog.database", "status", 130, "interrupted"),
    ],
)
def test_an_interrupt_is_a_line_or_none(
    at: str, command: str, code: int, said: str, environment: dict[str, str]
) -> None:
    heeding = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    program = [sys.executable, "-c", PROGRAM, at, command]
    done = subprocess.run(
        program, cwd=ROOT, env=environment, capture_output=True, text=True, preexec_fn=heeding, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (code, said and f"soundalike: {said}")
