"""The form of a track: sections, and what follows from them: highlights and loops."""
