"""The approximate index: inverted lists of codes, float16 vectors behind them."""
