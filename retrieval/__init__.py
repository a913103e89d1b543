"""The catalogue and its search: PostgreSQL holds the truth, FAISS answers, filters compile to one bitmap."""
