"""identity.

A track is known by what is heard in it; keys and paths may be of any length; files that are missing, ignored, or a part
of what they were are told.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('tracks', sa.Column('audio_hash', sa.Text(), nullable=True, comment='of what is heard, whatever tags are beside it; none: not known yet'))
    op.add_column('tracks', sa.Column('changed_ns', sa.BigInteger(), nullable=True, comment='likewise: when the file, or what is said of it, was last changed'))
    op.add_column('tracks', sa.Column('partial', sa.Boolean(), server_default=sa.text('false'), nullable=False, comment='a part of what it was'))
    op.add_column('tracks', sa.Column('notes', postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False, comment='what decoding came upon'))
    op.add_column('tracks', sa.Column('missing_since', sa.DateTime(timezone=True), nullable=True, comment='the file was not there when its folder was'))
    op.add_column('tracks', sa.Column('ignored_at', sa.DateTime(timezone=True), nullable=True, comment='deleted, and its file is not to come in again'))
    op.alter_column('tracks', 'key', existing_type=sa.Text(), existing_nullable=False, comment="the caller's id, of one live track", existing_comment="the caller's id")
    op.drop_constraint('uq_tracks_key', 'tracks')
    op.create_exclude_constraint('ex_tracks_key', 'tracks', ('key', '='), using='hash', where=sa.text('deleted_at IS NULL'))
    op.drop_index('ix_tracks_uri', table_name='tracks')
    for name in ('uri', 'content_hash', 'audio_hash'):
        op.create_index(f'ix_tracks_{name}', 'tracks', [name], postgresql_using='hash')
    op.create_index('ix_tracks_missing', 'tracks', ['id'], postgresql_where=sa.text('missing_since IS NOT NULL'))
    op.drop_index('ix_tracks_key_trgm', table_name='tracks')
    op.execute('CREATE INDEX ix_tracks_key_trgm ON tracks USING gist (right(key, 500) gist_trgm_ops)')
    op.drop_constraint('pk_failures', 'failures')
    op.create_exclude_constraint('ex_failures_uri', 'failures', ('uri', '='), using='hash')


def downgrade() -> None:
    op.drop_constraint('ex_failures_uri', 'failures')
    op.create_primary_key('pk_failures', 'failures', ['uri'])
    op.drop_index('ix_tracks_key_trgm', table_name='tracks')
    op.execute("CREATE INDEX ix_tracks_key_trgm ON tracks USING gist ((key || '') gist_trgm_ops)")
    op.drop_index('ix_tracks_missing', table_name='tracks')
    for name in ('uri', 'content_hash', 'audio_hash'):
        op.drop_index(f'ix_tracks_{name}', table_name='tracks')
    op.create_index('ix_tracks_uri', 'tracks', ['uri'])
    op.drop_constraint('ex_tracks_key', 'tracks')
    # Of a key that was deleted and came again there are several rows.
    op.execute("""
        DELETE FROM tracks USING tracks AS other
        WHERE tracks.key = other.key AND tracks.id <> other.id AND tracks.deleted_at IS NOT NULL
        AND (other.deleted_at IS NULL OR other.id > tracks.id)
    """)
    op.create_unique_constraint('uq_tracks_key', 'tracks', ['key'])
    op.alter_column('tracks', 'key', existing_type=sa.Text(), existing_nullable=False, comment="the caller's id", existing_comment="the caller's id, of one live track")
    for name in ('ignored_at', 'missing_since', 'notes', 'partial', 'changed_ns', 'audio_hash'):
        op.drop_column('tracks', name)
