"""A decoder in this process, for tests of what comes after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.checkpoints.sha256 import sha256_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from encoders.media.decoded import DecodedAudio
    from indexer.scan import ScannedFile


@dataclass(frozen=True)
class Decoding:
    """Decodes by a function; no two files sound alike to it."""

    function: Callable[[ScannedFile, Sequence[int]], DecodedAudio]

    def decode(self, file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
        """As the function does."""
        return self.function(file, sample_rates)

    def identify(self, file: ScannedFile) -> str:
        """The hash of the file."""
        return sha256_file(file.path)

    def comments(self, file: ScannedFile) -> dict[str, str]:
        """None."""
        return {}
