"""A stage: one analysis of a track, with a version of its own and rows of its own in the catalogue.

A new stage is a module beside this one, a line in `indexer.stages.registry`, a table, and a kind of rows with its
writer in `retrieval.catalog`. The `run` of one that works track by track is ``return each(self._analyse, tracks)``.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from encoders.errors import MediaError
from indexer.errors import StageError
from indexer.file_tags import FileTags
from retrieval.catalog.database import is_lost, refusal
from retrieval.errors import PlaceTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from encoders.media.decoded import DecodedAudio
    from retrieval.catalog.records import StageRows

logger = logging.getLogger(__name__)

R = TypeVar("R")


@dataclass(frozen=True)
class StageResult:
    """What a stage made of one track: rows for the catalogue, and the seconds that it took, by step."""

    rows: Sequence[StageRows]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class TrackInput:
    """One track as a stage gets it.

    Attributes
    ----------
    audio : at every sample rate that the stages to run take, maybe at others as well
    earlier : what the stages that ran before made of it, by name; for sure those that the stage `needs`
    tags : of its file and of what lies beside it, or as whoever sent it has them
    path : its file, and beside it what belongs to it; none where there is no file
    """

    audio: DecodedAudio
    earlier: Mapping[str, StageResult] = field(default_factory=dict)
    tags: FileTags = field(default_factory=FileTags)
    path: Path | None = None


class Stage(ABC):
    """One analysis of a track.

    Attributes
    ----------
    name : as the catalogue records it
    version : rows of another version are made anew
    sample_rates : Hz, of the waveforms that it takes
    any_rate : whether it takes, instead, what other stages ask for
    needs : names of stages, earlier in the registry, whose rows it takes
    beside : name of a stage that other versions of it have run; it runs, and is not recorded, for tracks that the stage
        of that name never ran for, as all others have what it makes already
    batch_s : seconds of audio that it takes together at best; 0 for one that gains nothing by it
    may_fail : whether a track comes in without what it makes, which is missing until it runs again
    reads_tags : whether title, artist and album have a say in it
    """

    name: str
    version: str
    sample_rates: tuple[int, ...]
    any_rate: bool = False
    needs: tuple[str, ...] = ()
    beside: str | None = None
    batch_s: float = 0.0
    may_fail: bool = False
    reads_tags: bool = False

    @abstractmethod
    def run(self, tracks: Sequence[TrackInput]) -> list[StageResult | StageError]:
        """Analyse some tracks; for each, what came of it, or the error that is its own."""


def outdated(stages: Sequence[Stage], versions: Mapping[str, str]) -> list[Stage]:
    """The stages to run for a track that has these versions: what is missing or old, and what that needs of others."""
    names: set[str] = set()
    for stage in stages:
        if stage.beside is not None:
            if stage.beside not in versions:
                names.add(stage.name)
        elif versions.get(stage.name) != stage.version or not names.isdisjoint(stage.needs):
            names.add(stage.name)
    for stage in reversed(stages):
        if stage.name in names:
            names.update(stage.needs)
    return [stage for stage in stages if stage.name in names]


def each(function: Callable[..., R], *columns: Sequence[Any]) -> list[R | StageError]:
    """What the function makes of each track, or its error; where a column holds an error already, that one."""
    results: list[R | StageError] = []
    for values in zip(*columns, strict=True):
        failed = next((value for value in values if isinstance(value, StageError)), None)
        try:
            results.append(function(*values) if failed is None else failed)
        except StageError as error:
            results.append(error)
    return results


@contextmanager
def step(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Time a step, and turn whatever a file does to it into one line: the pipeline goes on with the next file.

    Raises
    ------
    StageError
        With the step and the reason: also where the database refuses what is known of the file. A lost database is no
        fault of the file, and is raised as it is, as is that somebody else was first.
    """
    start = time.perf_counter()
    try:
        yield
    except DBAPIError as error:
        if _hides_an_interrupt(error):
            raise KeyboardInterrupt from error
        if is_lost(error):
            raise
        raise StageError(name, refusal(error)) from error
    except PlaceTakenError:
        raise
    except MediaError as error:
        raise StageError(name, error.reason) from error
    except FileNotFoundError as error:
        raise StageError(name, "the file has vanished") from error
    except Exception as error:
        if _hides_an_interrupt(error):
            raise KeyboardInterrupt from error
        logger.debug("%s failed", name, exc_info=True)
        raise StageError(name, f"{type(error).__name__}: {error}".splitlines()[0]) from error
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def _hides_an_interrupt(error: BaseException | None) -> bool:
    """Whether a Ctrl-C was being handled when this happened, as when a driver cannot clean up a busy connection."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
