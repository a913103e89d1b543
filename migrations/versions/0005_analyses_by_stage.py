"""which stage of which version a track has."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('analyses',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('stage', sa.Text(), nullable=False, comment='embedding/SPACE, fingerprint, …'),
    sa.Column('version', sa.Text(), nullable=False, comment='of the stage that wrote what is there'),
    sa.Column('analysed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_analyses_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'stage', name=op.f('pk_analyses'))
    )
    op.execute("""
        INSERT INTO analyses (track_id, stage, version, analysed_at)
        SELECT track_id, 'embedding/' || space, encoder_version, indexed_at
        FROM embeddings JOIN tracks ON tracks.id = track_id WHERE segment_no IS NULL
        UNION ALL
        SELECT track_id, 'fingerprint', '1', indexed_at
        FROM fingerprints JOIN tracks ON tracks.id = track_id
    """)


def downgrade() -> None:
    op.drop_table('analyses')
