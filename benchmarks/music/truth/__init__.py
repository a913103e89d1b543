"""Recordings whose beats, bars, tempo or key are known, each from a source of its own."""
