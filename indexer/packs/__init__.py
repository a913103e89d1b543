"""Free music to try, and voices to learn from, fetched from package indexes."""
