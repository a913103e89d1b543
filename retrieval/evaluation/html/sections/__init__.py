"""What the page shows of each kind of result, one file a kind; what a result does not have is left out."""
