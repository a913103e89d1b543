"""A band plays a score: audio, and what is true of it."""
