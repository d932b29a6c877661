"""What the trainers share: models from scratch, checkpoints that can be trusted, callbacks."""
