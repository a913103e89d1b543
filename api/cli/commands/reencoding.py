"""What `index` says of tracks that are to be heard again, by a newer default or a newer version of an encoder."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.terminal import echo
from retrieval.catalog.holdings import count_without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.wiring import Soundalike
    from encoders.encoder import Encoder
    from indexer.stages.registry import Analyses
    from indexer.track import Outcome

NAMED_FOLDERS = 3
MEASURED_S = 10.0  # of encoding, before it is said how long the rest will take


class Reencoding:
    """The tracks that an encoder is still to hear, though the catalogue holds them in an older space or version."""

    def __init__(self, here: Soundalike, encoder: Encoder) -> None:
        self._here, self._encoder = here, encoder
        defaults, name = here.search.defaults.spaces, encoder.spec.name
        self._spaces = defaults[defaults.index(name) :] if name in defaults else (name,)
        self._left = self._heard = 0
        self._since: float | None = None

    def announce(self, root: Path) -> None:
        """Say how many there are under a folder, before they are heard."""
        path = str(root.expanduser().resolve())
        folders = self._folders()
        self._left = sum(n for folder, n in folders.items() if folder == path or folder.startswith(f"{path}/"))
        if self._left:
            new, old = self._names()
            until = f"; {old} answers until then" if old != new else ""
            say(f"{_tracks(self._left)} to be heard again by {new}{until}. Stop at any time, the same command goes on.")

    def advance(self, outcome: Outcome) -> None:
        """One file is done; when enough are to measure by, say how long the others will take."""
        now = time.monotonic()
        if self._since is None or not self._left:
            self._since = now
            return
        self._heard += outcome.status == "indexed"
        spent_s = now - self._since
        if spent_s > MEASURED_S and self._heard:
            left = self._left - self._heard
            minutes = max(1, round(left * spent_s / self._heard / 60))
            if left > 0:
                say(f"about {minutes} min for the {left:,} that are left, at {self._heard / spent_s:.1f} tracks/s")
            self._left = 0  # once is enough

    def conclude(self) -> None:
        """Say how many are left, and where they came from."""
        folders = self._folders()
        if not folders:
            return
        new, old = self._names()
        n = sum(folders.values())
        state = f"{old} answers until then" if old != new else "it answers without them"
        say(
            f"{_tracks(n)} still to be heard by {new}, {state}: index the folders that they came from: "
            f"{', '.join(self._roots(folders))}"
        )

    def _folders(self) -> dict[str, int]:
        return self._here.catalog.folders_without(self._encoder.version, self._spaces)

    def _names(self) -> tuple[str, str]:
        """What hears the tracks, and what answers: spaces, or versions where it is one space."""
        index = self._here.search.space(self._here.search.space_name() if len(self._spaces) > 1 else self._spaces[0])
        if index.space != self._encoder.spec.name:
            return self._encoder.spec.name, index.space
        return self._encoder.version, index.view().encoder_version

    def _roots(self, folders: Mapping[str, int]) -> list[str]:
        """Up to three of the folders that were indexed, those that hold most of these; else where the files lie."""
        uploads = str(self._here.settings.uploads_dir)
        indexed = sorted({str(Path(source).resolve()) for source in self._here.ledger.sources("index")}, key=len)
        counts = Counter[str]()
        for folder, n in folders.items():
            if folder.startswith(uploads):
                root = "those that came by HTTP are to be sent again"
            else:
                root = next((one for one in indexed if folder == one or folder.startswith(f"{one}/")), folder)
            counts[root] += n
        return [root for root, _ in counts.most_common(NAMED_FOLDERS)]


def announce_analyses(here: Soundalike, analyses: Analyses, root: Path) -> None:
    """Say how many tracks of a folder the catalogue holds that have not been listened to for voices, or for music."""
    of_voices, of_music = replace(analyses, music=None), replace(analyses, voices=None)
    for some, what in ((of_voices, "voices and languages"), (of_music, "rhythm, form and melody")):
        versions = {stage.name: stage.version for stage in some.stages()}
        left = count_without(here.engine, versions, str(root.expanduser().resolve())) if versions else 0
        if left:
            say(f"{_tracks(left)} to be listened to for {what}. Stop at any time, the same command goes on.")


def _tracks(n: int) -> str:
    return f"{n:,} tracks are" if n > 1 else "1 track is"


def say(line: str) -> None:
    """A line for who indexes, beside the answer."""
    echo(line, err=True)
