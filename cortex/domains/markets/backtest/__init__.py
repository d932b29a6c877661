"""Backtest of a market's forecasts, on paper only: positions, costs, and what remains of them."""
