"""The clouds as this machine reaches them: SkyPilot and its catalog, access, and AWS's API."""
