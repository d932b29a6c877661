"""The insurance test: every kind of damage and kill, done to a small stand-in of a user's own profile."""
