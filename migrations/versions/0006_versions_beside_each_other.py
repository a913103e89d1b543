"""a track keeps what an older encoder version made of it until the newer one has made all."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('uq_embeddings_track_id_space_segment_no', 'embeddings', type_='unique')
    op.create_unique_constraint(
        op.f('uq_embeddings_track_id_space_encoder_version_segment_no'),
        'embeddings',
        ['track_id', 'space', 'encoder_version', 'segment_no'],
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        'ix_embeddings_whole_tracks',
        'embeddings',
        ['space', 'encoder_version', 'track_id'],
        postgresql_where=sa.text('segment_no IS NULL'),
    )


def downgrade() -> None:
    # One version of a track can stay: the one that its stage was last run with.
    op.execute("""
        DELETE FROM embeddings USING (
            SELECT track_id, space, coalesce(
                (SELECT version FROM analyses
                 WHERE analyses.track_id = held.track_id AND stage = 'embedding/' || space
                 AND version = ANY (array_agg(held.encoder_version))),
                max(held.encoder_version)
            ) AS version
            FROM embeddings AS held WHERE segment_no IS NULL GROUP BY track_id, space HAVING count(*) > 1
        ) AS kept
        WHERE embeddings.track_id = kept.track_id AND embeddings.space = kept.space AND encoder_version <> kept.version
    """)
    op.drop_index('ix_embeddings_whole_tracks', table_name='embeddings')
    op.drop_constraint('uq_embeddings_track_id_space_encoder_version_segment_no', 'embeddings', type_='unique')
    op.create_unique_constraint(
        op.f('uq_embeddings_track_id_space_segment_no'),
        'embeddings',
        ['track_id', 'space', 'segment_no'],
        postgresql_nulls_not_distinct=True,
    )
