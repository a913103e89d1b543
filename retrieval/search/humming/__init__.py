"""Query by humming: a melody that somebody hums is found among those of all tracks, in any key and at any tempo."""
