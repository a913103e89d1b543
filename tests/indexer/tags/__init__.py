"""Tags as programs write them, and as nobody should."""
