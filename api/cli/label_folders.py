"""What `--labels-from FOLDER` takes: audio files as label/file, each with the sha256 of its bytes.

What lies deeper bears the label of its first folder. Files are those that `soundalike index FOLDER` takes by suffix; a
link to a file is that file, and one to a folder is not followed. What is left out is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoders.checkpoints.sha256 import sha256_file
from encoders.media.kinds import AUDIO_SUFFIXES
from indexer.scan import NO_FILE, find_files
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.inputs.folder_labels import FolderLabels, LabelledFile, named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYOUT = f"label/file in it, such as rock/song.mp3 ({' '.join(sorted(AUDIO_SUFFIXES))})"


def read_labels(folder: Path, *, on_done: Callable[[int, int], None] = lambda done, total: None) -> FolderLabels:
    """Read a folder of labels; every file is read whole, since only that says which track it is.

    Parameters
    ----------
    on_done : called with how many files are read, of how many

    Raises
    ------
    EvaluationError
        If no audio file that bears a label can be read.
    """
    unreadable, files = list[str](), list[LabelledFile]()

    def cannot(uri: str, reason: str) -> None:
        unreadable.append(f"{uri} ({reason})")

    def skipped(uri: str, reason: str) -> None:
        if reason == NO_FILE:
            cannot(uri, reason)

    found = find_files(folder, AUDIO_SUFFIXES, key_prefix="", on_error=cannot, on_skip=skipped, follow=False)
    loose = [file.key for file in found if "/" not in file.key]
    labelled = [file for file in found if "/" in file.key]
    for number, file in enumerate(labelled, start=1):
        try:
            content_hash = sha256_file(file.path)
        except OSError as error:
            unreadable.append(f"{folder / file.key} ({error.strerror})")
        else:
            files.append(LabelledFile(file.key, file.key.partition("/")[0], content_hash))
        on_done(number, len(labelled))
    left_out = {
        "directly in it, under no label": named(loose, "file"),
        "cannot be read": named(unreadable, "path"),
        "links to folders, not followed": named(_linked_folders(folder), "link"),
    }
    warnings = [f"{folder}: left out, {why}: {what}" for why, what in left_out.items() if what]
    if not files:
        raise EvaluationError("; ".join([f"{folder}: holds no audio file under a label", *warnings]), LAYOUT)
    return FolderLabels(str(folder), files, warnings)


def _linked_folders(folder: Path) -> list[str]:
    """Links to folders where labels are expected."""
    return sorted(path.name for path in folder.iterdir() if path.is_symlink() and path.is_dir())
