"""Annotated songs, played by a band that chance puts together: audio whose beats, key, form and melody are known."""
