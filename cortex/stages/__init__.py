"""The stages: each is a function that fills a folder from a run's context; the folder becomes the stage's artifact."""
