"""Video in, music out: which tracks fit a clip, and from where on they are laid under it."""
