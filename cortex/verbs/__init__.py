"""The verbs, by what they are about. Each reads its words, calls what does the work, and prints."""
