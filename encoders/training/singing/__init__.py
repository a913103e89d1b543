"""Spoken voices made to sing: melodies, when which syllable sounds, at which pitch, and the synthesis."""
