"""The bench: simulated batteries and buses. Not in the wheel."""
