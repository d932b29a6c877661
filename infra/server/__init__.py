"""SkyPilot's API server in a stack's network: the machine, its rights, what is installed on it, and its cost."""
