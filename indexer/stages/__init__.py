"""What is made of a track, one file a stage."""
