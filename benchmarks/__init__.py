"""Measurements, each against a baseline in the same run; results and machine in RESULTS.md."""
