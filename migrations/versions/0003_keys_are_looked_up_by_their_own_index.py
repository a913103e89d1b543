"""keys are looked up by their own index."""

from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_tracks_key_trgm', table_name='tracks')
    op.execute("CREATE INDEX ix_tracks_key_trgm ON tracks USING gist ((key || '') gist_trgm_ops)")


def downgrade() -> None:
    op.drop_index('ix_tracks_key_trgm', table_name='tracks')
    op.execute('CREATE INDEX ix_tracks_key_trgm ON tracks USING gist (key gist_trgm_ops)')
