"""Why a result is one: which example drove it, and which tags it shares with the examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrieval.recommend import driven_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrieval.catalog import Catalog
    from retrieval.picking import Candidates
    from retrieval.records import Track
    from retrieval.search import Plan

SHARED_TAG_SCORE = 0.1
SHARED_TAGS = 5


def explanations(
    plan: Plan, page: Candidates, tracks: Mapping[int, Track], catalog: Catalog
) -> list[Mapping[str, Any] | None]:
    """One explanation for every result of a page."""
    if not len(page):
        return []
    tags = catalog.tags_of([*page.track_ids.tolist(), *(track.id for track in plan.seeds)])
    keys = {seed.track for seed in plan.query.positive}
    liked: list[Mapping[str, float]] = [tags.get(track.id, {}) for track in plan.seeds if track.key in keys]
    liked += [seed.tags for seed in plan.query.positive if seed.tags]
    wanted = {tag: max(scores.get(tag, 0.0) for scores in liked) for scores in liked for tag in scores}
    drivers = driven_by(plan.view.vectors(page.rows), plan.positive, plan.query.strategy)
    return [
        {"shared_tags": shared_tags(wanted, tags.get(track_id, {})), "driven_by": driver}
        for track_id, driver in zip(page.track_ids.tolist(), drivers, strict=True)
    ]


def shared_tags(ours: Mapping[str, float], theirs: Mapping[str, float]) -> list[str]:
    """The tags that both have, the surest first."""
    strength = {tag: min(score, theirs.get(tag, 0.0)) for tag, score in ours.items()}
    shared = [tag for tag, score in strength.items() if score >= SHARED_TAG_SCORE]
    return sorted(shared, key=lambda tag: (-strength[tag], tag))[:SHARED_TAGS]
