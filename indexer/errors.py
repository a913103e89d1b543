"""What can go wrong while a catalogue comes in."""


class IndexerError(Exception):
    """Root of every error that `indexer` raises."""


class PackError(IndexerError):
    """A music pack is unknown, cannot be downloaded, or does not hold what it promises."""


class UnknownPackError(PackError):
    """No music pack has this name."""


class ScanError(IndexerError):
    """A folder that does not exist or holds no audio."""


class StageError(IndexerError):
    """One file failed in one step of the pipeline, or of a stage.

    Attributes
    ----------
    stage : ``scan``, ``decode``, ``segment``, ``encode``, ``pool``, ``fingerprint`` or ``store``
    reason : one line for people
    """

    def __init__(self, stage: str, reason: str) -> None:
        self.stage = stage
        self.reason = reason
        super().__init__(f"{stage}: {reason}")


class CopyError(IndexerError):
    """A file that sounds like the track of its key, whose own file is there too: nothing is to be done for it."""


class IgnoredFileError(IndexerError):
    """A file that was deleted from the catalogue and is to stay out."""
