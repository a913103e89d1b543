"""Encoders and spaces: quality, speed, ingest."""
