"""How our weights are made: corpus → crops → augmentations → loss → checkpoint → weights."""
