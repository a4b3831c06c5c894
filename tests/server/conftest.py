"""Sites that most tests of the server look at, without changing them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.row_tables import readings
from tests.server.sites import Site, site_of

HOURS = 12
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="session")
def small_site() -> Iterator[Site]:
    """Three pumps, one with an open incident, and a device with a hostile name."""
    n = HOURS * 30
    calm = [10 + (i % 7) * 0.1 for i in range(n)]
    fleet = fleet_of(
        prediction_rows("pump-1", "flow", calm, anomalies=range(n - 8, n)),
        prediction_rows("pump-1", "power", calm),
        prediction_rows("pump-2", "flow", calm, anomalies=range(40, 50)),
        prediction_rows("pump-10", "flow", calm),
        prediction_rows(HOSTILE, "flow", calm),
        readings=readings(*((i, "pump-1", "flow", 10 + (i % 7) * 0.1) for i in range(5 * n))),
    )
    with site_of(fleet, with_models=True) as site:
        yield site


@pytest.fixture
def client(small_site: Site):
    with small_site.client() as opened:
        yield opened
