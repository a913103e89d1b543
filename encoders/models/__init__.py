"""One file a network, its paper on top."""
