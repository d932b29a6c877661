"""Judging of replies: losses, baselines, intervals, a verdict in words, and the pages that show them."""
