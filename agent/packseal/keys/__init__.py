"""Signers: whatever holds the private key."""
