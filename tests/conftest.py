"""Settings and fixtures of the whole suite."""

import pytest
from hypothesis import HealthCheck, settings

from tests.blob_storage import azurite, container, proxy  # noqa: F401
from tests.emulators.event_hubs.process import event_hubs  # noqa: F401
from tests.mlflow_stores import new_database, no_tracking_uri, open_dataset, store  # noqa: F401

# Machines are noisy: an example may be slow without anything being wrong.
settings.register_profile("batch_scoring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("batch_scoring")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what works on a real MLflow store as slow: each step of it takes tenths of a second."""
    for item in items:
        if "new_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
