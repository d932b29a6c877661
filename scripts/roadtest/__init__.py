"""The road test: every part of a real account that a run needs, tried on one small GPU before the first real run."""
