"""Networks at work on a whole track: what they say of its parts, put together."""
