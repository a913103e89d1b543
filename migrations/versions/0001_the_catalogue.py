"""the catalogue."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE EXTENSION IF NOT EXISTS pg_trgm')
    op.execute(sa.schema.CreateSequence(sa.Sequence('track_revision')))
    op.create_table('jobs',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('running', 'done', 'interrupted', 'failed')", name=op.f('ck_jobs_state_known')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs'))
    )
    op.create_table('tracks',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('key', sa.Text(), nullable=False, comment="the caller's id"),
    sa.Column('title', sa.Text(), nullable=True),
    sa.Column('artist', sa.Text(), nullable=True),
    sa.Column('album', sa.Text(), nullable=True),
    sa.Column('genre', sa.Text(), nullable=True),
    sa.Column('year', sa.Integer(), nullable=True),
    sa.Column('duration_s', sa.Double(), nullable=False),
    sa.Column('vocal_ratio', sa.Double(), nullable=True),
    sa.Column('uri', sa.Text(), nullable=False, comment='where the audio lies'),
    sa.Column('content_hash', sa.Text(), nullable=False, comment='sha256 of the file, hexadecimal'),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('modified_ns', sa.BigInteger(), nullable=False, comment='with size_bytes: a file that need not be read again'),
    sa.Column('metadata', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('revision', sa.BigInteger(), nullable=False),
    sa.Column('indexed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tracks')),
    sa.UniqueConstraint('key', name=op.f('uq_tracks_key')),
    sa.UniqueConstraint('revision', name=op.f('uq_tracks_revision'))
    )
    op.create_index('ix_tracks_key_trgm', 'tracks', ['key'], unique=False, postgresql_using='gist', postgresql_ops={'key': 'gist_trgm_ops'})
    op.create_index('ix_tracks_uri', 'tracks', ['uri'], unique=False)
    op.create_table('chords',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('chord_no', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False, comment='Harte syntax'),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_chords_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'chord_no', name=op.f('pk_chords'))
    )
    op.create_table('embeddings',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('space', sa.Text(), nullable=False),
    sa.Column('segment_no', sa.Integer(), nullable=True, comment='none: the whole track'),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('vector', sa.LargeBinary(), nullable=False, comment='little-endian float16'),
    sa.Column('encoder_version', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_embeddings_track_id_tracks'), ondelete='CASCADE'),
    sa.UniqueConstraint('track_id', 'space', 'segment_no', name=op.f('uq_embeddings_track_id_space_segment_no'), postgresql_nulls_not_distinct=True)
    )
    op.create_table('failures',
    sa.Column('uri', sa.Text(), nullable=False),
    sa.Column('stage', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('failed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_failures_job_id_jobs'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('uri', name=op.f('pk_failures'))
    )
    op.create_table('languages',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False, comment='ISO 639 code'),
    sa.Column('ratio', sa.Double(), nullable=False, comment='share of the vocal time'),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_languages_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'language', name=op.f('pk_languages'))
    )
    op.create_table('loops',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('loop_no', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_loops_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'loop_no', name=op.f('pk_loops'))
    )
    op.create_table('rhythm',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('tempo', sa.Double(), nullable=True, comment='beats a minute'),
    sa.Column('beats_s', sa.ARRAY(sa.Double()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('key', sa.Text(), nullable=True),
    sa.Column('mode', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_rhythm_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_rhythm'))
    )
    op.create_table('sections',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('section_no', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('is_highlight', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_sections_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'section_no', name=op.f('pk_sections'))
    )
    op.create_table('tags',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('tag', sa.Text(), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.CheckConstraint('score BETWEEN 0 AND 1', name=op.f('ck_tags_score_range')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_tags_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'tag', name=op.f('pk_tags'))
    )


def downgrade() -> None:
    op.drop_table('tags')
    op.drop_table('sections')
    op.drop_table('rhythm')
    op.drop_table('loops')
    op.drop_table('languages')
    op.drop_table('failures')
    op.drop_table('embeddings')
    op.drop_table('chords')
    op.drop_index('ix_tracks_uri', table_name='tracks')
    op.drop_index('ix_tracks_key_trgm', table_name='tracks', postgresql_using='gist', postgresql_ops={'key': 'gist_trgm_ops'})
    op.drop_table('tracks')
    op.drop_table('jobs')
    op.execute(sa.schema.DropSequence(sa.Sequence('track_revision')))
    # pg_trgm stays: other schemas of the database may use it.

