"""What is measured, one file a kind of measure."""
