"""Code that all trainers share: models from scratch, verified checkpoints, callbacks."""
