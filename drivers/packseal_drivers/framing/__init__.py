"""Framers: bytes in, whole and checked messages out. No I/O."""
