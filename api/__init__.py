"""The doors: an HTTP API and a command line over one wiring."""
