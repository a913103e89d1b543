"""Playlists as files: what their lines say, which names that may mean, and the tracks that these are."""
