"""Probing: which profile fits what a bus says."""
