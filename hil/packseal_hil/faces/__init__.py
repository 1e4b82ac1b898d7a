"""Faces: how a simulated battery speaks, and the buses it speaks on."""
