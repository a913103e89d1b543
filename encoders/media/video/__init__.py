"""Pictures in: what a video or a picture shows over time, read in child processes with limits."""
