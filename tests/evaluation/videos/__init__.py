"""How clips are asked for their own music."""
