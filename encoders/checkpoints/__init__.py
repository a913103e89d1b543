"""Weights on disk, ours and published ones, each known by its sha256."""
