"""clmr is called timbre."""

from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rename('clmr', 'timbre')


def downgrade() -> None:
    _rename('timbre', 'clmr')


def _rename(old: str, new: str) -> None:
    """The hash in a version stays: it is of the same weights.

    A space of one's own that has the new name keeps it, and one of the old name and another size of vectors as well.
    """
    op.execute(f"""
        UPDATE embeddings
        SET space = '{new}', encoder_version = regexp_replace(encoder_version, '^{old}-', '{new}-')
        WHERE space = '{old}' AND octet_length(vector) = 2 * 256 AND NOT EXISTS (SELECT FROM embeddings WHERE space = '{new}')
    """)
