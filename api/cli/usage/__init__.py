"""What may be typed, and what is said where it may not."""
