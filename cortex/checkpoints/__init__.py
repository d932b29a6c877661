"""What keeps a trainer's work safe: its checkpoints are committed, verified and resumed from, and it is
supervised.
"""
