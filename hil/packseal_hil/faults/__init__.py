"""Fault injection per system call: the real agent and the real sink on files whose calls fail on command."""
