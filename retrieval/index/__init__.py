"""The vectors of a space, and which of them are nearest."""
