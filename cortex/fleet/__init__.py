"""The laptop's side: checking and launching a run, watching it, downloading its release, and ending its machines."""
