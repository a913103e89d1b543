"""What files are before they are heard, and every way in which they are odd."""
