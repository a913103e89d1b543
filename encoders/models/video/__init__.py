"""Networks that see: what is in a picture, and which music is said to go with it."""
