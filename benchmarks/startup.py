"""How long a command takes from its call to its end, start and end of the program included.

    SOUNDALIKE_HOME=var/demo python -m benchmarks.startup KEY FILE

KEY is a track of that catalogue, FILE a song outside of it. Each is run in turn with a bare interpreter that imports
torch, which is the baseline: what a file waits for at least.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RUNS = 5
PROGRAM = Path(sys.executable).with_name("soundalike")


def seconds(command: list[str | Path]) -> float:
    """How long a program takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(key: str, file: str) -> None:
    """Print the median and the range of each."""
    commands: dict[str, list[str | Path]] = {
        "python -c 'import torch'": [sys.executable, "-c", "import torch, os; os._exit(0)"],
        "soundalike --help": [PROGRAM, "--help"],
        "soundalike similar KEY": [PROGRAM, "similar", key],
        "soundalike similar FILE": [PROGRAM, "similar", file],
    }
    for command in commands.values():
        seconds(command)  # what the system keeps of files in memory is there for all
    took = [{name: seconds(command) for name, command in commands.items()} for _ in range(RUNS)]
    for name in commands:
        runs = sorted(run[name] for run in took)
        print(f"{name:26} {median(runs):.2f} s ({runs[0]:.2f} to {runs[-1]:.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
