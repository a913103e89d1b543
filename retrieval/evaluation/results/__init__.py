"""What an evaluation comes to, and its files."""
