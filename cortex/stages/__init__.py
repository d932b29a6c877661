"""The stages: each a function of a run's context that fills one folder, which becomes its artifact."""
