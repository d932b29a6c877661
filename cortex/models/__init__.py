"""Models: loading, sampling, merging and quantizing them, and comparing the copies."""
