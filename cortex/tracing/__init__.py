"""One training step on fake tensors: its memory and time on a GPU that is not there."""
