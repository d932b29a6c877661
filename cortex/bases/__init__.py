"""Base models: from the hub or a folder, checked against rules, pinned and verified."""
