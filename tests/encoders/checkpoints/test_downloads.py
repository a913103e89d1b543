"""Who waits for a download is told how much of it is here, and never of more than there is."""

import sys
from pathlib import Path

import pytest

from encoders.checkpoints import downloads
from encoders.checkpoints.downloads import expecting, run_downloading, told_of_downloads

COPIES = """
import sys, time
for name in ("part", "whole"):  # as pip does: one beside the other
    with open(sys.argv[1] + "/" + name, "wb") as file:
        file.write(bytes(1000))
    time.sleep(0.2)
"""


@pytest.mark.parametrize("said", [0, 1000])
def test_what_is_told_is_at_most_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: int) -> None:
    monkeypatch.setattr(downloads, "EVERY_S", 0.05)
    seen: list[tuple[int, int | None]] = []
    with told_of_downloads(lambda name, here, total: seen.append((here, total))), expecting(said):
        run_downloading([sys.executable, "-c", COPIES, str(tmp_path)], "a wheel", tmp_path)
    assert seen[0] == (0, said or None)
    assert seen[-1] == ((1000, 1000) if said else (2000, 2000))
    assert all(total is None or here <= total for here, total in seen)
    assert 1000 in [here for here, _ in seen]
