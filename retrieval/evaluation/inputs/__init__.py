"""What an evaluation is given: judgments, interactions, queries, runs."""
