"""From frame by frame to beats, bars, tempo and key of a whole track."""
