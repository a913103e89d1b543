"""rhythm, form and melody.

Nothing of ours wrote the tables of rhythm, sections and loops before, but filters follow them: what stands there stays.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('highlights',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('highlight_no', sa.Integer(), autoincrement=False, nullable=False, comment='the first is the best'),
    sa.Column('start_s', sa.Double(), nullable=False),
    sa.Column('end_s', sa.Double(), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.CheckConstraint('score BETWEEN 0 AND 1', name=op.f('ck_highlights_score_range')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_highlights_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', 'highlight_no', name=op.f('pk_highlights'))
    )
    op.create_table('melodies',
    sa.Column('track_id', sa.BigInteger(), nullable=False),
    sa.Column('step_s', sa.Double(), nullable=False),
    sa.Column('pitches', sa.LargeBinary(), nullable=False, comment='of each step: retrieval.catalog.heard.contours'),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.CheckConstraint('confidence BETWEEN 0 AND 1', name=op.f('ck_melodies_confidence_range')),
    sa.CheckConstraint('step_s > 0', name=op.f('ck_melodies_step_s_positive')),
    sa.ForeignKeyConstraint(['track_id'], ['tracks.id'], name=op.f('fk_melodies_track_id_tracks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('track_id', name=op.f('pk_melodies'))
    )
    op.alter_column('loops', 'score', new_column_name='similarity', comment='of its end to its start')
    op.execute("UPDATE loops SET similarity = greatest(0, least(similarity, 1))")
    op.create_check_constraint(op.f('ck_loops_similarity_range'), 'loops', 'similarity BETWEEN 0 AND 1')
    op.add_column('rhythm', sa.Column('meter', sa.SmallInteger(), nullable=True, comment='beats a bar'))
    op.add_column('rhythm', sa.Column('confidence', sa.Double(), server_default=sa.text('0'), nullable=False, comment='of tempo, beats and meter'))
    op.add_column('rhythm', sa.Column('positions', postgresql.ARRAY(sa.SmallInteger()), server_default=sa.text("'{}'"), nullable=False, comment='1: a downbeat'))
    op.add_column('rhythm', sa.Column('key_confidence', sa.Double(), server_default=sa.text('0'), nullable=False))
    op.execute("UPDATE rhythm SET positions = array_fill(CAST(0 AS smallint), ARRAY[cardinality(beats_s)])")
    op.create_check_constraint(op.f('ck_rhythm_confidence_range'), 'rhythm', 'confidence BETWEEN 0 AND 1')
    op.create_check_constraint(op.f('ck_rhythm_key_confidence_range'), 'rhythm', 'key_confidence BETWEEN 0 AND 1')
    op.create_check_constraint(op.f('ck_rhythm_position_of_each_beat'), 'rhythm', 'cardinality(positions) = cardinality(beats_s)')
    op.add_column('sections', sa.Column('level', sa.SmallInteger(), autoincrement=False, server_default=sa.text('1'), nullable=False, comment='1: parts; 2: phrases of these'))
    op.add_column('sections', sa.Column('section_group', sa.Text(), nullable=True, comment='those of a level that sound alike have one letter'))
    op.add_column('sections', sa.Column('confidence', sa.Double(), server_default=sa.text('0'), nullable=False, comment='of the label'))
    op.execute("""
        UPDATE sections SET section_group = chr(64 + least(CAST(named.place AS integer), 26))
        FROM (
            SELECT track_id, label, rank() OVER (PARTITION BY track_id ORDER BY min(section_no)) AS place
            FROM sections GROUP BY track_id, label
        ) AS named WHERE named.track_id = sections.track_id AND named.label = sections.label
    """)
    op.alter_column('sections', 'level', server_default=None)
    op.alter_column('sections', 'section_group', nullable=False)
    op.alter_column('sections', 'confidence', server_default=None)
    op.create_check_constraint(op.f('ck_sections_level_known'), 'sections', 'level IN (1, 2)')
    op.create_check_constraint(op.f('ck_sections_confidence_range'), 'sections', 'confidence BETWEEN 0 AND 1')
    op.drop_constraint(op.f('pk_sections'), 'sections')
    op.create_primary_key(op.f('pk_sections'), 'sections', ['track_id', 'level', 'section_no'])
    op.drop_column('sections', 'is_highlight')


def downgrade() -> None:
    # What our stages found goes, and with it the record that they ran: they run again after an upgrade.
    for table, stage in (('rhythm', 'rhythm'), ('sections', 'structure'), ('loops', 'structure')):
        op.execute(f"""
            DELETE FROM {table} USING analyses WHERE analyses.track_id = {table}.track_id AND analyses.stage = '{stage}'
        """)
    op.execute("DELETE FROM analyses WHERE stage IN ('rhythm', 'structure', 'melody')")
    op.execute("DELETE FROM sections WHERE level <> 1")
    op.add_column('sections', sa.Column('is_highlight', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.drop_constraint(op.f('pk_sections'), 'sections')
    op.drop_column('sections', 'confidence')
    op.drop_column('sections', 'section_group')
    op.drop_column('sections', 'level')
    op.create_primary_key(op.f('pk_sections'), 'sections', ['track_id', 'section_no'])
    op.drop_constraint(op.f('ck_rhythm_position_of_each_beat'), 'rhythm')
    op.drop_column('rhythm', 'key_confidence')
    op.drop_column('rhythm', 'positions')
    op.drop_column('rhythm', 'confidence')
    op.drop_column('rhythm', 'meter')
    op.drop_constraint(op.f('ck_loops_similarity_range'), 'loops')
    op.alter_column('loops', 'similarity', new_column_name='score', comment=None)
    op.drop_table('melodies')
    op.drop_table('highlights')
