"""Networks that hear how music is made: its beats, key, form and melody, from the same two spectrograms."""
