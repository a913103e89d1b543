"""Writes to the catalogue: a few statements a batch of tracks, in a transaction that the caller opens."""
