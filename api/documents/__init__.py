"""What is sent and shown as JSON, the same at every door: a search, and its answer."""
