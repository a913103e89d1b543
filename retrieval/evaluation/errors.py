"""What can be wrong with the files of an evaluation."""

from retrieval.errors import RetrievalError


class EvaluationError(RetrievalError):
    """An evaluation that cannot be run as asked, with what would be accepted."""

    def __init__(self, reason: str, accepted: str = "") -> None:
        self.reason = reason
        self.accepted = accepted
        super().__init__(reason + (f"; accepted: {accepted}" if accepted else ""))


class MetricError(EvaluationError):
    """A metric that is not computed, or not of rankings of this depth."""


class EvaluationFileError(EvaluationError):
    """A file of queries, judgments, runs or interactions that cannot be used.

    Attributes
    ----------
    source : the file, as it was named
    place : ``line 7``, ``row 7``, or empty where it is the whole file
    """

    def __init__(self, source: str, place: str, reason: str, accepted: str = "") -> None:
        self.source = source
        self.place = place
        super().__init__(f"{source}{', ' if place else ''}{place}: {reason}", accepted)
