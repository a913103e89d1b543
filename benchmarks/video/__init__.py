"""What it costs to find music for videos."""
