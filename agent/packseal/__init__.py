"""Packseal: the agent beside the battery. See `packseal.core` for the vocabulary."""

__version__ = "0.1.0"
