"""SkyPilot's API server in a stack's network: the machine, its rights, and the software that it installs."""
