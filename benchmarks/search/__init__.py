"""Search: engines side by side, growth, updates, segments, evaluation, GPU."""
