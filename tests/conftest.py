"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

# Machines are noisy: an example may be slow without anything being wrong.
settings.register_profile("batch_scoring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("batch_scoring")
