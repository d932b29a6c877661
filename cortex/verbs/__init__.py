"""The verbs of the command line, by subject. Each reads its arguments, calls the code for the work, and prints."""
