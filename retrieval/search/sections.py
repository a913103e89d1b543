"""A section of a track as an example: which of its parts a label means, and the span that it is.

Of several parts with the label it is the one in which most of a highlight lies: of the best highlight that touches any
of them. Without one it is the longest, and of those that are equally long the first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from retrieval.catalog.heard.music import PARTS, STRUCTURE_STAGE, highlights_of, not_known, sections_of
from retrieval.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import HighlightSpan, SectionSpan, Track
    from retrieval.errors import Place
    from retrieval.search.query import Query, Seed


def with_spans(query: Query, tracks: Mapping[str, Track], catalog: Catalog) -> Query:
    """The query with the span of each section that is an example; `tracks` are its examples, by key.

    Raises
    ------
    NotAnalysedError
        If the sections of a track are not known.
    QueryError
        If a track has no section of the label.
    """
    seeds = [seed for seed in (*query.positive, *query.negative) if seed.section is not None]
    asked = {tracks[seed.track].id for seed in seeds if seed.track is not None}
    if not asked:
        return query
    sections, highlights = sections_of(catalog.engine, list(asked)), highlights_of(catalog.engine, list(asked))

    def with_span(seed: Seed, place: Place) -> Seed:
        if seed.section is None or seed.track is None:
            return seed
        track = tracks[seed.track]
        parts = [section for section in sections.get(track.id, ()) if section.level == PARTS]
        if not parts:
            raise not_known(track.key, "structure", STRUCTURE_STAGE)
        labelled = [part for part in parts if part.label == seed.section]
        if not labelled:
            has = ", ".join(dict.fromkeys(part.label for part in parts))
            raise QueryError("section", f"track {track.key!r} has no {seed.section}", has, place)
        part = meant(labelled, highlights.get(track.id, ()))
        return replace(seed, start_s=part.start_s, end_s=part.end_s)

    positive = [with_span(seed, ("positive", number)) for number, seed in enumerate(query.positive)]
    negative = [with_span(seed, ("negative", number)) for number, seed in enumerate(query.negative)]
    return replace(query, positive=positive, negative=negative)


def meant(parts: Sequence[SectionSpan], highlights: Sequence[HighlightSpan]) -> SectionSpan:
    """Which of several parts, at least one, stands for them; highlights with the best first."""

    def shared_s(part: SectionSpan, highlight: HighlightSpan) -> float:
        return max(0.0, min(part.end_s, highlight.end_s) - max(part.start_s, highlight.start_s))

    for highlight in highlights:
        most = max(parts, key=lambda part: shared_s(part, highlight))
        if shared_s(most, highlight):
            return most
    return max(parts, key=lambda part: part.end_s - part.start_s)
