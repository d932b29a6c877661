"""Environment variables: those that libraries read, and those that the kit sets for its programs."""
