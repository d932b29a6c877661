"""A job kit for fine-tuning a reasoning model on spot GPUs: rehearsed, resumable, proven and judged."""

__version__ = "0.1.0"
