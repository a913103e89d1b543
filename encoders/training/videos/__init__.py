"""Videos made to music, so that what fits is known: pictures and patterns that follow a track as people let them."""
