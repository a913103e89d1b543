"""From a filter in JSON to the tracks that match it."""
