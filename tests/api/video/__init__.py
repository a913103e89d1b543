"""Video in, music out: both doors, on a small catalogue of real files."""
