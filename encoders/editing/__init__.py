"""A track made any length: what may follow what, the cheapest way through, and splices that are not heard."""
