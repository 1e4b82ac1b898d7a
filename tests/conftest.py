"""Hypothesis takes no time of an example: on a machine with other work, any of them may be slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
