"""The way home: a release is downloaded and verified, and only then are its machines destroyed."""
