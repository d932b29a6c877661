"""Tinker's API on GPUs of one's own: SkyRL's server, whose checkpoints are kept in the bucket.

Modules that import SkyRL run in the image `tinker` alone, under Python 3.12.
"""
