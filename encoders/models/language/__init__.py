"""Which language is sung: what the voice says, what the words say, and the list of languages that both speak of."""
