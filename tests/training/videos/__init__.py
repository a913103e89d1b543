"""Videos are made to music."""
