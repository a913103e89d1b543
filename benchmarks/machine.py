"""What a figure was measured on."""

import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Processor, cores, memory, versions: one line."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cpu}, {cores} cores, {memory_gib:.0f} GiB; Python {platform.python_version()}, torch {torch.__version__}"
