"""who sings, in which language, and what a curator says of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('corrections',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('field', sa.Text(), nullable=False, comment='languages, vocal_ratio, or a column of tracks'),
    sa.Column('value', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('read', postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment='what stands in a column of tracks without it'),
    sa.Column('corrected_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_corrections_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'field', name=op.f('pk_corrections'))
    )
    op.create_table('heard_languages',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('ratios', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='shares of the vocal time by language'),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.Column('evidence', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='by source: shares by language'),
    sa.CheckConstraint('confidence BETWEEN 0 AND 1', name=op.f('ck_heard_languages_confidence_range')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_heard_languages_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_heard_languages'))
    )
    op.create_table('heard_vocals',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('vocal_ratio', sa.Double(), nullable=False, comment='share of the duration'),
    sa.Column('speech_ratio', sa.Double(), nullable=False, comment='share of the duration'),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.CheckConstraint('confidence BETWEEN 0 AND 1', name=op.f('ck_heard_vocals_confidence_range')),
    sa.CheckConstraint('speech_ratio BETWEEN 0 AND vocal_ratio', name=op.f('ck_heard_vocals_speech_ratio_range')),
    sa.CheckConstraint('vocal_ratio BETWEEN 0 AND 1', name=op.f('ck_heard_vocals_vocal_ratio_range')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_heard_vocals_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_heard_vocals'))
    )
    op.create_table('language_spans',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('span_no', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_language_spans_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'span_no', name=op.f('pk_language_spans'))
    )
    op.create_table('vocal_spans',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('span_no', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.CheckConstraint("kind IN ('singing', 'speech')", name=op.f('ck_vocal_spans_kind_known')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_vocal_spans_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'span_no', name=op.f('pk_vocal_spans'))
    )
    op.alter_column('languages', 'language',
               existing_type=sa.TEXT(),
               comment='ISO 639 code, or unknown',
               existing_comment='ISO 639 code',
               existing_nullable=False)
    op.alter_column('languages', 'ratio',
               existing_type=sa.DOUBLE_PRECISION(precision=53),
               comment='share of the vocal time, as heard, or as corrected',
               existing_comment='share of the vocal time',
               existing_nullable=False)
    op.add_column('tracks', sa.Column('speech_ratio', sa.Double(), nullable=True, comment='at most the vocal ratio'))
    op.alter_column('tracks', 'vocal_ratio',
               existing_type=sa.DOUBLE_PRECISION(precision=53),
               comment='as heard, or as corrected',
               existing_nullable=True)


def downgrade() -> None:
    # What was heard goes, and with it the record that it was: these stages run again after an upgrade. What a curator
    # said in the place of what a file says stays in its column.
    op.execute("DELETE FROM analyses WHERE stage IN ('vocals', 'language')")
    op.execute("DELETE FROM languages")
    op.execute("UPDATE tracks SET vocal_ratio = NULL")
    op.alter_column('tracks', 'vocal_ratio',
               existing_type=sa.DOUBLE_PRECISION(precision=53),
               comment=None,
               existing_comment='as heard, or as corrected',
               existing_nullable=True)
    op.drop_column('tracks', 'speech_ratio')
    op.alter_column('languages', 'ratio',
               existing_type=sa.DOUBLE_PRECISION(precision=53),
               comment='share of the vocal time',
               existing_comment='share of the vocal time, as heard, or as corrected',
               existing_nullable=False)
    op.alter_column('languages', 'language',
               existing_type=sa.TEXT(),
               comment='ISO 639 code',
               existing_comment='ISO 639 code, or unknown',
               existing_nullable=False)
    op.drop_table('vocal_spans')
    op.drop_table('language_spans')
    op.drop_table('heard_vocals')
    op.drop_table('heard_languages')
    op.drop_table('corrections')
