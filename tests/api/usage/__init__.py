"""What is typed wrongly, and by which names things are called."""
