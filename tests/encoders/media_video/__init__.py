"""Videos and pictures are read."""
