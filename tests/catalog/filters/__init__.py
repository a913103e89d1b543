"""What filters mean and refuse."""
