"""Sound in: files decoded to mono, cut into windows, fingerprinted. No torch here: child processes import it."""
