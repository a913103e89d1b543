"""The tables: PostgreSQL is the truth, every index is derived from it.

`tracks.revision` is drawn from one sequence under one advisory lock, so that revisions become visible in the order in
which they were drawn: a reader that has seen revision r never misses a smaller one that commits later.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

track_revision = Sequence("track_revision", metadata=metadata)


def _track_id(*, primary_key: bool = True) -> Column[int]:
    return Column("track_id", ForeignKey("tracks.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


def _span() -> tuple[Column[float], Column[float]]:
    return Column("start_s", Double, nullable=False), Column("end_s", Double, nullable=False)


tracks = Table(
    "tracks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, comment="the caller's id, of one live track"),
    Column("title", Text),
    Column("artist", Text),
    Column("album", Text),
    Column("genre", Text),
    Column("year", Integer),
    Column("duration_s", Double, nullable=False),
    Column("vocal_ratio", Double, comment="as heard, or as corrected"),
    Column("speech_ratio", Double, comment="at most the vocal ratio"),
    Column("uri", Text, nullable=False, comment="where the audio lies"),
    Column("content_hash", Text, nullable=False, comment="sha256 of the file, hexadecimal"),
    Column("audio_hash", Text, comment="of what is heard, whatever tags are beside it; none: not known yet"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False, comment="with size_bytes: a file that need not be read again"),
    Column("changed_ns", BigInteger, comment="likewise: when the file, or what is said of it, was last changed"),
    Column("partial", Boolean, nullable=False, server_default=text("false"), comment="a part of what it was"),
    Column("notes", JSONB, nullable=False, server_default=text("'[]'::jsonb"), comment="what decoding came upon"),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("revision", BigInteger, nullable=False, unique=True),
    Column("indexed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deleted_at", DateTime(timezone=True)),
    Column("missing_since", DateTime(timezone=True), comment="the file was not there when its folder was"),
    Column("ignored_at", DateTime(timezone=True), comment="deleted, and its file is not to come in again"),
    # Hashes: a row of a B-tree holds 2,704 bytes, and paths may be longer.
    ExcludeConstraint(("key", "="), name="ex_tracks_key", using="hash", where=text("deleted_at IS NULL")),
    *(Index(f"ix_tracks_{name}", name, postgresql_using="hash") for name in ("uri", "content_hash", "audio_hash")),
    Index("ix_tracks_missing", "id", postgresql_where=text("missing_since IS NOT NULL")),
)
KEY_TEXT = func.right(tracks.c.key, 500)
"""What of a key the index of trigrams has: no row of it holds those of more."""
Index(
    "ix_tracks_key_trgm",
    KEY_TEXT.label("key_text"),
    postgresql_using="gist",
    postgresql_ops={"key_text": "gist_trgm_ops"},
)

embeddings = Table(
    "embeddings",
    metadata,
    _track_id(primary_key=False),
    Column("space", Text, nullable=False),
    Column("segment_no", Integer, comment="none: the whole track"),
    *_span(),
    Column("vector", LargeBinary, nullable=False, comment="little-endian float16"),
    Column("encoder_version", Text, nullable=False),
    UniqueConstraint("track_id", "space", "encoder_version", "segment_no", postgresql_nulls_not_distinct=True),
)
Index(
    "ix_embeddings_whole_tracks",
    embeddings.c.space,
    embeddings.c.encoder_version,
    embeddings.c.track_id,
    postgresql_where=embeddings.c.segment_no.is_(None),
)

tags = Table(
    "tags",
    metadata,
    _track_id(),
    Column("tag", Text, primary_key=True),
    Column("score", Double, nullable=False),
    CheckConstraint("score BETWEEN 0 AND 1", name="score_range"),
)

languages = Table(
    "languages",
    metadata,
    _track_id(),
    Column("language", Text, primary_key=True, comment="ISO 639 code, or unknown"),
    Column("ratio", Double, nullable=False, comment="share of the vocal time, as heard, or as corrected"),
)

heard_vocals = Table(
    "heard_vocals",
    metadata,
    _track_id(),
    Column("vocal_ratio", Double, nullable=False, comment="share of the duration"),
    Column("speech_ratio", Double, nullable=False, comment="share of the duration"),
    Column("confidence", Double, nullable=False),
    CheckConstraint("vocal_ratio BETWEEN 0 AND 1", name="vocal_ratio_range"),
    CheckConstraint("speech_ratio BETWEEN 0 AND vocal_ratio", name="speech_ratio_range"),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
)

vocal_spans = Table(
    "vocal_spans",
    metadata,
    _track_id(),
    Column("span_no", Integer, primary_key=True, autoincrement=False),
    *_span(),
    Column("kind", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    CheckConstraint("kind IN ('singing', 'speech')", name="kind_known"),
)

heard_languages = Table(
    "heard_languages",
    metadata,
    _track_id(),
    Column("ratios", JSONB, nullable=False, comment="shares of the vocal time by language"),
    Column("confidence", Double, nullable=False),
    Column("evidence", JSONB, nullable=False, comment="by source: shares by language"),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
)

language_spans = Table(
    "language_spans",
    metadata,
    _track_id(),
    Column("span_no", Integer, primary_key=True, autoincrement=False),
    *_span(),
    Column("language", Text, nullable=False),
    Column("confidence", Double, nullable=False),
)

corrections = Table(
    "corrections",
    metadata,
    _track_id(),
    Column("field", Text, primary_key=True, comment="languages, vocal_ratio, or a column of tracks"),
    Column("value", JSONB, nullable=False),
    Column("read", JSONB, comment="what stands in a column of tracks without it"),
    Column("corrected_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

sections = Table(
    "sections",
    metadata,
    _track_id(),
    Column("level", SmallInteger, primary_key=True, autoincrement=False, comment="1: parts; 2: phrases of these"),
    Column("section_no", Integer, primary_key=True, autoincrement=False),
    *_span(),
    Column("label", Text, nullable=False),
    Column("section_group", Text, nullable=False, comment="those of a level that sound alike have one letter"),
    Column("confidence", Double, nullable=False, comment="of the label"),
    CheckConstraint("level IN (1, 2)", name="level_known"),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
)

highlights = Table(
    "highlights",
    metadata,
    _track_id(),
    Column("highlight_no", Integer, primary_key=True, autoincrement=False, comment="the first is the best"),
    *_span(),
    Column("score", Double, nullable=False),
    CheckConstraint("score BETWEEN 0 AND 1", name="score_range"),
)

loops = Table(
    "loops",
    metadata,
    _track_id(),
    Column("loop_no", Integer, primary_key=True, autoincrement=False),
    *_span(),
    Column("similarity", Double, nullable=False, comment="of its end to its start"),
    CheckConstraint("similarity BETWEEN 0 AND 1", name="similarity_range"),
)

chords = Table(
    "chords",
    metadata,
    _track_id(),
    Column("chord_no", Integer, primary_key=True, autoincrement=False),
    *_span(),
    Column("label", Text, nullable=False, comment="Harte syntax"),
)

rhythm = Table(
    "rhythm",
    metadata,
    _track_id(),
    Column("tempo", Double, comment="beats a minute"),
    Column("meter", SmallInteger, comment="beats a bar"),
    Column("confidence", Double, nullable=False, server_default=text("0"), comment="of tempo, beats and meter"),
    Column("beats_s", ARRAY(Double), nullable=False, server_default=text("'{}'")),
    Column("positions", ARRAY(SmallInteger), nullable=False, server_default=text("'{}'"), comment="1: a downbeat"),
    Column("key", Text),
    Column("mode", Text),
    Column("key_confidence", Double, nullable=False, server_default=text("0")),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
    CheckConstraint("key_confidence BETWEEN 0 AND 1", name="key_confidence_range"),
    CheckConstraint("cardinality(positions) = cardinality(beats_s)", name="position_of_each_beat"),
)

melodies = Table(
    "melodies",
    metadata,
    _track_id(),
    Column("step_s", Double, nullable=False),
    Column("pitches", LargeBinary, nullable=False, comment="of each step: retrieval.catalog.heard.contours"),
    Column("confidence", Double, nullable=False),
    CheckConstraint("step_s > 0", name="step_s_positive"),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
)

accents = Table(
    "accents",
    metadata,
    _track_id(),
    Column("rate", Double, nullable=False, comment="values a second"),
    Column("onsets", LargeBinary, nullable=False, comment="uint8, 255 the strongest"),
    Column("loudness", LargeBinary, nullable=False, comment="uint8, 255 the loudest"),
    CheckConstraint("rate > 0", name="rate_positive"),
    CheckConstraint("length(onsets) = length(loudness)", name="as_many_of_each"),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    _track_id(),
    Column("words", LargeBinary, nullable=False, comment="Chromaprint, little-endian int32; none in sound too short"),
)

clips = Table(
    "clips",
    metadata,
    Column("id", Text, primary_key=True, comment="of the bytes, and of what of them was read"),
    Column("version", Text, nullable=False, comment="of what looked at it"),
    Column("seen", LargeBinary, nullable=False, comment="what it saw, as who looked writes it"),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

analyses = Table(
    "analyses",
    metadata,
    _track_id(),
    Column("stage", Text, primary_key=True, comment="embedding/SPACE, fingerprint, …"),
    Column("version", Text, nullable=False, comment="of the stage that wrote what is there"),
    Column("analysed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('running', 'done', 'interrupted', 'failed')", name="state_known"),
)

failures = Table(
    "failures",
    metadata,
    Column("uri", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("job_id", ForeignKey("jobs.id", ondelete="SET NULL")),
    ExcludeConstraint(("uri", "="), name="ex_failures_uri", using="hash"),
)
