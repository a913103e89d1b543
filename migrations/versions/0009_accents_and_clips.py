"""accents and clips.

What meets pictures in a track, and what was seen in clips.
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('clips',
    sa.Column('id', sa.Text(), nullable=False, comment='of the bytes, and of what of them was read'),
    sa.Column('version', sa.Text(), nullable=False, comment='of what looked at it'),
    sa.Column('seen', sa.LargeBinary(), nullable=False, comment='what it saw, as who looked writes it'),
    sa.Column('stored_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_clips'))
    )
    op.create_index(op.f('ix_clips_stored_at'), 'clips', ['stored_at'], unique=False)
    op.create_table('accents',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('rate', sa.Double(), nullable=False, comment='values a second'),
    sa.Column('onsets', sa.LargeBinary(), nullable=False, comment='uint8, 255 the strongest'),
    sa.Column('loudness', sa.LargeBinary(), nullable=False, comment='uint8, 255 the loudest'),
    sa.CheckConstraint('length(onsets) = length(loudness)', name=op.f('ck_accents_as_many_of_each')),
    sa.CheckConstraint('rate > 0', name=op.f('ck_accents_rate_positive')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_accents_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_accents'))
    )


def downgrade() -> None:
    op.execute("DELETE FROM analyses WHERE stage = 'accents'")
    op.drop_table('accents')
    op.drop_index(op.f('ix_clips_stored_at'), table_name='clips')
    op.drop_table('clips')
