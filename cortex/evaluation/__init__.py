"""Judging of forecasts: scores, baselines, intervals, a verdict in words, and the pages that show them."""
