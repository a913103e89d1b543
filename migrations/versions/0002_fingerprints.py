"""fingerprints."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('fingerprints',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('words', sa.LargeBinary(), nullable=False, comment='Chromaprint, little-endian int32; none in sound too short'),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_fingerprints_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_fingerprints'))
    )


def downgrade() -> None:
    op.drop_table('fingerprints')
