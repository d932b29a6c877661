"""Chapters on forecasts of a market: intervals, calibration, abstention, symbols and regimes."""
