"""From candidates, best first, to what is played: diversity, limits a group, and the context of a queue.

Everything acts on a candidate's position in the ranking, before paging, and answers with positions or a mask, so that
steps follow each other without knowing what a candidate is. Nothing is left out silently: what drops candidates counts
them by reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog.conditions import MANY, parts_of
from retrieval.folding import folded
from retrieval.search.recommend import score_of

Groups = Sequence[str | None]
ArtistAlbum = tuple[str | None, str | None]
"""Artist and album; none where unknown, which is like nothing."""
_Names = tuple[frozenset[str], frozenset[str]]


def mmr(
    vectors: NDArray[np.float32], scores: NDArray[np.float64], *, trade_off: float, limit: int
) -> NDArray[np.int64]:
    """Maximal Marginal Relevance: pick one by one what is relevant and unlike all that was picked.

    The next pick is argmax_x (1 − t) score(x) − t max_{y picked} (1 + cos(x, y)) / 2: relevance and likeness have one
    range. Of equal candidates it is the better one. (The paper's λ is 1 − t.)

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1, best candidate first
    scores : float64 [n], descending, in [0, 1]
    trade_off : t in [0, 1]; 0 keeps the order, 1 starts from the best and goes by difference alone
    limit : how many to pick

    Returns
    -------
    int64 [min(n, limit)], positions

    References
    ----------
    Carbonell & Goldstein, The use of MMR, diversity-based reranking, SIGIR 1998.
    """
    relevance = (1 - trade_off) * np.asarray(scores, np.float64)
    likeness = np.zeros(len(vectors))
    picked = np.empty(min(len(vectors), max(limit, 0)), np.int64)
    for number in range(len(picked)):
        best = int(np.argmax(relevance - trade_off * likeness))
        picked[number] = best
        relevance[best] = -np.inf
        np.maximum(likeness, score_of(vectors @ vectors[best]), out=likeness)
    return picked


def at_most_each(groups: Mapping[str, Groups], limits: Mapping[str, int]) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Keep a candidate while every one of its groups has room; what is dropped takes no room in any.

    Parameters
    ----------
    groups : by name (``artist``, ``album``), the groups of n candidates, best first
    limits : by name, how many candidates one group may have, 1 at least; names without a limit are ignored

    Returns
    -------
    bool [n], and the number dropped by the first name that had no room
    """
    group_of = {name: [names_of(name, text) for text in groups[name]] for name in limits}
    kept = np.ones(len(next(iter(groups.values()), ())), bool)
    taken: Counter[tuple[str, str]] = Counter()
    dropped: Counter[str] = Counter()
    for position in range(len(kept)):
        of_this = [(name, group) for name in limits for group in group_of[name][position]]
        full = next((name for name, group in of_this if taken[name, group] >= limits[name]), None)
        if full is None:
            taken.update(of_this)
        else:
            kept[position] = False
            dropped[full] += 1
    return kept, dict(dropped)


def queue(
    candidates: Sequence[ArtistAlbum], previous: Sequence[ArtistAlbum], gaps: tuple[int, int], *, limit: int
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Let the candidates play in an order that keeps gaps between the tracks of one artist, and of one album.

    Every slot takes the best candidate that may stand there. One that may not waits for a later slot, and comes before
    all worse ones then. The queue ends at the limit, or when no candidate that is left may stand next.

    Parameters
    ----------
    candidates : best first
    previous : the tracks played last, oldest first
    gaps : an artist, and an album, must not occur among that many tracks before; 0 allows anything

    Returns
    -------
    int64 [≤ limit], positions in the order in which they play, and the number of candidates that had a turn and never
    played, by the gap that kept them from it (``artist_gap``, ``album_gap``)
    """
    tracks = [(names_of("artist", artist), names_of("album", album)) for artist, album in candidates]
    played = [(names_of("artist", artist), names_of("album", album)) for artist, album in previous]
    remaining, positions, refused = list(range(len(tracks))), list[int](), dict[int, str]()
    while len(positions) < limit:
        artists = frozenset[str]().union(*(names for names, _ in _last(played, gaps[0])))
        albums = frozenset[str]().union(*(names for _, names in _last(played, gaps[1])))
        for position in remaining:
            artist, album = tracks[position]
            if artists.isdisjoint(artist) and albums.isdisjoint(album):
                break
            refused.setdefault(position, "album_gap" if artists.isdisjoint(artist) else "artist_gap")
        else:
            break
        remaining.remove(position)
        positions.append(position)
        played.append(tracks[position])
    left_out = Counter(refused[position] for position in remaining if position in refused)
    return np.array(positions, np.int64), dict(left_out)


def _last(tracks: Sequence[_Names], count: int) -> Sequence[_Names]:
    return tracks[max(len(tracks) - count, 0) :]


@lru_cache(1 << 14)
def names_of(group: str, text: str | None) -> frozenset[str]:
    """What decides whether two tracks share an ``artist`` or ``album``: several artists are each one of them."""
    names = parts_of(text) if group in MANY else [text]
    return frozenset(name for name in map(same_name, names) if name is not None)


@lru_cache(1 << 14)  # tracks of one artist, or album, come together
def same_name(name: str | None) -> str | None:
    """What decides whether two names are the same, as in a filter; none for a blank one."""
    return folded(name or "") or None
