"""A catalogue comes in: files are found, decoded, encoded and stored, and the index follows."""
