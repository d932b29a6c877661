"""The road test: a trial of everything that a run needs from a real account, on one small GPU, before the first run."""
