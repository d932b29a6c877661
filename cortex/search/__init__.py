"""A search for better values of a profile's keys: trials, their validated losses, one cap, one winner."""
