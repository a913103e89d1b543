"""How many tracks have what, as JSON."""

import math
from dataclasses import asdict

from pydantic import BaseModel, Field

from retrieval.catalog.languages import language_name
from retrieval.filters.facets import Facets


class LanguageFacetOut(BaseModel):
    """Tracks sung in a language by a tenth of their vocal time (`some`), and by half of it (`mostly`)."""

    language: str
    name: str
    some: int
    mostly: int


class VoiceFacetOut(BaseModel):
    """Tracks by their vocal ratio: below 0.1, below 0.5, from 0.5 on; unknown where nobody has listened."""

    instrumental: int
    partly: int
    mostly: int
    unknown: int


class TempoBandOut(BaseModel):
    """Tracks with a tempo from `gte` to below `lt`, in beats a minute; the last band has no end."""

    gte: float
    lt: float | None
    tracks: int


class TempoFacetOut(BaseModel):
    """Tracks by tempo, the bands ascending; unknown where there are no beats, or nobody has listened."""

    bands: list[TempoBandOut]
    unknown: int


class MeterFacetOut(BaseModel):
    """Tracks with so many beats a bar."""

    meter: int
    tracks: int


class FacetsOut(BaseModel):
    """Counts of the tracks that match; tags are those with a score of at least 0.5, the most frequent first.

    Keys are named with their mode, `F# minor`, as a filter by `key` takes them. The language `unknown` is where there
    is a voice, and nobody could tell what it sings in.
    """

    matching: int
    tags: dict[str, int]
    languages: list[LanguageFacetOut]
    vocals: VoiceFacetOut
    tempo: TempoFacetOut
    meters: list[MeterFacetOut]
    meters_unknown: int = Field(description="tracks without beats, or that nobody has listened to")
    keys: dict[str, int]
    keys_unknown: int = Field(description="tracks in no key, or that nobody has listened to")
    modes: dict[str, int]
    modes_unknown: int = Field(description="as of keys")


def facets_out(counted: Facets) -> FacetsOut:
    """Counts for callers."""
    languages = [
        LanguageFacetOut(language=code, name=language_name(code), some=count.some, mostly=count.mostly)
        for code, count in counted.languages.items()
    ]
    music = counted.music
    bands = [
        TempoBandOut(gte=band.low, lt=None if math.isinf(band.high) else band.high, tracks=band.tracks)
        for band in music.tempi
    ]
    return FacetsOut(
        matching=counted.matching,
        tags=dict(counted.tags),
        languages=languages,
        vocals=VoiceFacetOut(**asdict(counted.vocals)),
        tempo=TempoFacetOut(bands=bands, unknown=music.tempo_unknown),
        meters=[MeterFacetOut(meter=meter, tracks=tracks) for meter, tracks in music.meters.items()],
        meters_unknown=music.meter_unknown,
        keys=dict(music.keys),
        keys_unknown=music.key_unknown,
        modes=dict(music.modes),
        modes_unknown=music.mode_unknown,
    )
