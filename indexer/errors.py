"""What can go wrong while a catalogue comes in: one root, caught at the boundaries."""


class IndexerError(Exception):
    """Root of every error this package raises."""


class PackError(IndexerError):
    """A music pack is unknown, cannot be downloaded, or does not hold what it promises."""
