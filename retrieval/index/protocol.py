"""What a search sees of an index: a view of one space, with its vectors under names of the view's own making.

Nothing here says where vectors lie or how they are compared, so a view may stand for files on this machine
(:mod:`retrieval.index.view`) or for another engine. A vector's name is an int64 that means something to its view alone:
a row number here, a primary key elsewhere; −1 names none. What may be found is said by track ids or by a condition,
which one engine compiles to its own expression and another to the ids of the tracks that meet it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from retrieval.catalog.conditions import Condition


@dataclass(frozen=True)
class Matching:
    """The tracks that meet a condition.

    Attributes
    ----------
    track_ids : finds them, int64 ascending; only called by a view that does not evaluate the condition itself
    """

    condition: Condition
    track_ids: Callable[[], NDArray[np.int64]]


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of a batch of queries, best first.

    Attributes
    ----------
    track_ids : int64 [n_queries, k], −1 where fewer match
    vector_ids : int64 [n_queries, k], the name of each track's nearest vector
    cosines : float32 [n_queries, k], −inf where fewer match
    matching : number of tracks that the search was about
    scored : number of vectors that it was about
    path : how they were found, ``exact`` where every one of these was scored
    """

    track_ids: NDArray[np.int64]
    vector_ids: NDArray[np.int64]
    cosines: NDArray[np.float32]
    matching: int
    scored: int
    path: str

    @property
    def is_everything(self) -> bool:
        """Whether all that match are in, in every row."""
        return bool(self.track_ids.shape[1] >= self.matching)


class Selection(Protocol):
    """What a search in one view may return."""

    @property
    def matching(self) -> int:
        """Number of tracks."""
        ...

    def count_of(self, track_ids: NDArray[np.int64]) -> int:
        """How many of these tracks, ascending, are in it."""
        ...


class IndexView(Protocol):
    """A space as it was at one moment; of a track that has several vectors the nearest counts."""

    @property
    def version(self) -> str:
        """Names exactly what is searched: equal versions answer equally."""
        ...

    @property
    def encoder_version(self) -> str:
        """Of the encoder that made the vectors."""
        ...

    @property
    def dim(self) -> int:
        """Values in a vector."""
        ...

    @property
    def count(self) -> int:
        """Number of tracks that can be found."""
        ...

    def all_track_ids(self) -> NDArray[np.int64]:
        """The tracks that can be found, int64 ascending."""
        ...

    def vector_ids(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The names of all vectors of these tracks, which ascend; of a track that is not in the view there are none."""
        ...

    def vectors(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors float32 [n, dim], L2 norm 1, by their names [n]."""
        ...

    def track_ids(self, vector_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tracks of these vectors; −1 for −1."""
        ...

    def spans_s(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """From where to where in their track these vectors last, float32 [..., 2]; NaN for −1."""
        ...

    def select(
        self, tracks: Matching | NDArray[np.int64] | None = None, *, without: NDArray[np.int64] | None = None
    ) -> Selection:
        """What a search may return: the vectors of these tracks, by default of all, but for those of some others.

        Parameters
        ----------
        tracks : a condition that they meet, or their ids, int64 ascending
        without : int64, any order
        """
        ...

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        selection: Selection | None = None,
        exact: bool = False,
        enough: Callable[[Neighbors], bool] | None = None,
    ) -> Neighbors:
        """The `k` nearest tracks of every query, or all that match.

        Parameters
        ----------
        queries : float32 [n_queries, dim], L2 norm 1
        selection : made by this view; none for all
        exact : score every matching vector, whatever it costs
        enough : asked whether what was found suffices; as long as it does not, more than `k` are searched for, in the
            end all that match
        """
        ...
