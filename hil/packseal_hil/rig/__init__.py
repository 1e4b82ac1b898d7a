"""Rigs: what a scenario acts on, on this machine, in the virtual gateway or on real hardware."""
