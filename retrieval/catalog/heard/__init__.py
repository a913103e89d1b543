"""What was heard in a track, read: its voices, its music, and how a melody is stored."""
