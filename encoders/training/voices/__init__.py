"""Voices to learn from: recorded people, and what a synthesiser reads out, as clips that name language and speaker."""
