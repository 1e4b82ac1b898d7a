"""Programs that run in the guest."""
