"""Benchmarks: published ones and the domains' own test splits by lm-eval, before and after; reasoning by a judge."""
