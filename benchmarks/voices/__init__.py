"""How well voices and their languages are heard."""
