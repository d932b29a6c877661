"""The images: built, written down, pushed. `make images`, `make sbom` and `make push` call this."""
