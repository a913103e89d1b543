"""Who sings, in which language, and how much, as JSON: heard, and said by a curator."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.documents.answer import TrackOut, highest_first, track_out
from api.documents.search import Several, Strict
from api.documents.wellformed import DocumentError
from retrieval.catalog.corrections import FIELDS, corrections_of, wrongly_said
from retrieval.catalog.heard.voices import heard_voice
from retrieval.catalog.languages import language_name
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Correction, LanguageRatios, Track
from retrieval.errors import NotAnalysedError
from retrieval.json_values import Whole


class CorrectionIn(Strict):
    """What a curator says of a track, above all that is heard or read; null takes it back, what is left out stays."""

    languages: dict[str, float] | None = Field(
        default=None,
        description="shares of the vocal time by ISO 639 code; what they lack of 1 is unknown, {} is no language",
    )
    vocal_ratio: float | None = Field(default=None, description="share of the track with a voice, 0 to 1")
    title: str | None = None
    artist: Several | None = None
    album: str | None = None
    genre: Several | None = None
    year: Whole | None = None
    metadata: dict[str, Any] | None = None

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Read what is said; where a field is of another kind, what the others cannot be is told with it.

        Raises
        ------
        DocumentError, TooDeepError
        """
        try:
            return super().model_validate(obj, **options)
        except DocumentError as error:
            of_kind = {path.partition(".")[0].partition("[")[0] for path, _ in error.wrong}
            sent = obj if isinstance(obj, dict) else {}
            rest = {name: value for name, value in sent.items() if name in FIELDS and name not in of_kind}
            wrong = [*error.wrong, *wrongly_said(rest)]
            raise DocumentError(*wrong[0], wrong=wrong) from error

    def said(self) -> dict[str, Any]:
        """What was sent, by field."""
        return self.model_dump(exclude_unset=True)


class CorrectedOut(BaseModel):
    """What a curator said of a field, and what would stand without it."""

    value: Any
    instead_of: Any
    at: str


class CorrectedTrackOut(TrackOut):
    """A track, and what a curator said of it, by field."""

    corrected: dict[str, CorrectedOut]


class LanguageShareOut(BaseModel):
    """A share of the vocal time."""

    language: str
    name: str
    ratio: float


class VocalSpanOut(BaseModel):
    """A time in which somebody sings or speaks."""

    start_s: float
    end_s: float
    kind: Literal["singing", "speech"]
    confidence: float


class LanguageSpanOut(BaseModel):
    """A time in one language."""

    start_s: float
    end_s: float
    language: str
    confidence: float


class SpansOut(BaseModel):
    """When there is a voice, and when it is in which language."""

    vocals: list[VocalSpanOut]
    languages: list[LanguageSpanOut]


class ConfidenceOut(BaseModel):
    """How sure it is what was heard, 0 to 1; null where nobody has listened."""

    vocals: float | None
    languages: float | None


class HeardOut(BaseModel):
    """What was heard, whatever was said of it; null where nobody has listened."""

    vocal_ratio: float | None
    speech_ratio: float | None
    languages: list[LanguageShareOut] | None


class CorrectedVoiceOut(BaseModel):
    """What a curator said, null for what was not said; when, of the last of it."""

    vocal_ratio: float | None
    languages: list[LanguageShareOut] | None
    at: str


class LanguageOut(BaseModel):
    """Who sings how much, and in which language: as corrected, or else as heard. Languages: the largest share first.

    Spans, confidence, evidence (what each source alone says, shares by language) and versions are of what was heard.
    """

    track: str
    vocal_ratio: float | None
    speech_ratio: float | None
    languages: list[LanguageShareOut]
    confidence: ConfidenceOut
    spans: SpansOut
    evidence: dict[str, dict[str, float]]
    versions: dict[str, str]
    heard: HeardOut
    corrected: CorrectedVoiceOut | None


def corrected_track_out(catalog: Catalog, track: Track) -> CorrectedTrackOut:
    """A track with its corrections for callers."""
    corrected = {
        field: CorrectedOut(
            value=correction.value, instead_of=correction.instead_of, at=correction.corrected_at.isoformat()
        )
        for field, correction in corrections_of(catalog.engine, track.id).items()
    }
    return CorrectedTrackOut(**track_out(track).model_dump(), corrected=corrected)


def language_out(catalog: Catalog, track: Track) -> LanguageOut:
    """Who sings in a track, for callers.

    Raises
    ------
    NotAnalysedError
        If nobody has listened for voices, or said anything of them.
    """
    heard, said = heard_voice(catalog.engine, track.id), corrections_of(catalog.engine, track.id)
    corrected = _corrected_out(said)
    vocals, languages = heard.vocals, heard.languages
    if vocals is None and languages is None and corrected is None:
        raise NotAnalysedError(
            f"track {track.key!r} has not been listened to for voices: run `soundalike index` over its folder, "
            "or send its audio again"
        )
    return LanguageOut(
        track=track.key,
        vocal_ratio=track.vocal_ratio,
        speech_ratio=track.speech_ratio,
        languages=_shares_out(track.languages),
        confidence=ConfidenceOut(
            vocals=None if vocals is None else vocals.confidence,
            languages=None if languages is None else languages.confidence,
        ),
        spans=SpansOut(
            vocals=[VocalSpanOut(**asdict(span)) for span in (vocals.spans if vocals else ())],
            languages=[LanguageSpanOut(**asdict(span)) for span in (languages.spans if languages else ())],
        ),
        evidence=_evidence_out(languages),
        versions=dict(heard.versions),
        heard=HeardOut(
            vocal_ratio=None if vocals is None else vocals.vocal_ratio,
            speech_ratio=None if vocals is None else vocals.speech_ratio,
            languages=None if languages is None else _shares_out(languages.ratios),
        ),
        corrected=corrected,
    )


def _corrected_out(said: Mapping[str, Correction]) -> CorrectedVoiceOut | None:
    ratio, languages = said.get("vocal_ratio"), said.get("languages")
    moments = [correction.corrected_at for correction in (ratio, languages) if correction is not None]
    if not moments:
        return None
    return CorrectedVoiceOut(
        vocal_ratio=None if ratio is None else ratio.value,
        languages=None if languages is None else _shares_out(languages.value),
        at=max(moments).isoformat(),
    )


def _evidence_out(languages: LanguageRatios | None) -> dict[str, dict[str, float]]:
    evidence = languages.evidence if languages else {}
    return {source: highest_first(shares) for source, shares in evidence.items()}


def _shares_out(shares: Mapping[str, float]) -> list[LanguageShareOut]:
    return [
        LanguageShareOut(language=code, name=language_name(code), ratio=ratio)
        for code, ratio in highest_first(shares).items()
    ]
