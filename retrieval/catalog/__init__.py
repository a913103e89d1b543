"""The catalogue in PostgreSQL: every SQL statement stands here."""
