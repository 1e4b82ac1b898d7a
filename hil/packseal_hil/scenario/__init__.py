"""Scenarios: what the battery does, what the world does to it, and what must be true at the end."""
