"""The spaces that a catalogue holds, for callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from encoders.registry import weights_path
from encoders.spec import SHIPPED_WEIGHTS
from retrieval.index.snapshots import current_name

if TYPE_CHECKING:
    from api.wiring import Soundalike


class SpaceOut(BaseModel):
    """What one space holds.

    `kind` is that of the index of its tracks, and `recall_at_10` what an unfiltered search reaches there.
    """

    space: str
    default: bool = Field(description="whether it answers where no space is named")
    encoder_version: str = Field(description="that answers; tracks of others wait to be heard again")
    weights: Literal["shipped", "added"] | None = Field(
        description="where they come from that new tracks are heard by: with the program; or added to the directory of "
        "weights, fetched or imported; null where no file is here"
    )
    tracks_by_version: dict[str, int]
    dim: int
    searchable: int = Field(description="tracks that can be found")
    kind: str
    recall_at_10: float
    snapshot: str | None


class SpacesOut(BaseModel):
    """The spaces that hold tracks."""

    spaces: list[SpaceOut]


def spaces_out(here: Soundalike) -> SpacesOut:
    """Every space that holds tracks, by name."""
    held = here.catalog.spaces()
    default = here.search.space_name()
    return SpacesOut(spaces=[_space(here, name, held[name], name == default) for name in sorted(held)])


def _space(here: Soundalike, name: str, versions: dict[str, int], default: bool) -> SpaceOut:
    index = here.search.space(name)
    view = index.view()
    manifest = view.snapshot.manifest if view.snapshot else None
    weights = weights_path(name, here.settings.weights_dir)
    return SpaceOut(
        space=name,
        default=default,
        encoder_version=view.encoder_version,
        weights=None if weights is None else "shipped" if weights.parent == SHIPPED_WEIGHTS else "added",
        tracks_by_version=versions,
        dim=view.dim,
        searchable=view.count,
        kind=manifest.kind if manifest else "delta only",
        recall_at_10=manifest.recall if manifest else 1.0,
        snapshot=current_name(index.directory),
    )
