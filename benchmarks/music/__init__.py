"""How well rhythm, key, form and melody are found, beside what others find in the same songs."""
