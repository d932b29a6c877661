"""Certainty: gates that keep a forecast or abstain, each judged by the error that it saves."""
