"""What the benchmarks do to their figures."""
