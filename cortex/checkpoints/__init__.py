"""Safety of a trainer's work: its checkpoints are committed, verified and resumed from, and it is supervised."""
