"""Simulated batteries: cells, sensors, a BMS that may lie, and the truth."""
