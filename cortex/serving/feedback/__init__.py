"""Feedback on a gateway's answers: what is kept of requests, what callers post back, and datasets made of both."""
