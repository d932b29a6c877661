"""Build, inventory and push of the images; called by `make images`, `make sbom` and `make push`."""
