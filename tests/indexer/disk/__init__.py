"""A catalogue and the files that it is of."""
