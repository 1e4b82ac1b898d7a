"""What is known of decoders without generating any: what they return, and the version of their text."""

SHORT, UNKNOWN_MULTIPLEXER = 1, 2

GENERATOR = 1
"""Version of the text; part of the cache's key."""
