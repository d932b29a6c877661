"""The watcher: gives up runs whose launches keep failing, and enters the cost of each machine by the cloud's record."""
