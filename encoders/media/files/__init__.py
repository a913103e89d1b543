"""What a file is before it is heard: which bytes are audio, which audio that is, and whether all of it is there."""
