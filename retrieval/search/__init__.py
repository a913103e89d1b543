"""A query's way from its examples to its answer."""
