"""What is known of one track, and what a curator says of it."""
