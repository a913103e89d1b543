"""Free music to try, fetched from package indexes."""
