"""The bench: simulated batteries on real buses, a virtual gateway, scenarios and their reports. Not in the wheel."""
