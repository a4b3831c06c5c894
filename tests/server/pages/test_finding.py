"""A device is found by its exact id."""

from urllib.parse import quote

import pytest

from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.server.sites import site_of

pytestmark = pytest.mark.slow

BLANKS = " pump 3 "


@pytest.fixture(scope="module")
def client():
    calm = [10.0] * 30
    fleet = fleet_of(*(prediction_rows(name, "flow", calm) for name in ("pump-1", "pump-10", BLANKS)))
    with site_of(fleet) as site, site.client() as opened:
        yield opened


def test_an_exact_id_opens_its_device(client):
    answer = client.get("/?q=pump-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/device?id=pump-1")


@pytest.mark.parametrize("query", ["q=pump", "q=PUMP-1", "q=pump-1&order=worst", ""])
def test_anything_else_is_a_list(client, query):
    assert client.get(f"/?{query}").status_code == 200


def test_a_device_with_blanks_at_the_ends_of_its_id_is_opened(client):
    assert client.get(f"/device?id={quote(BLANKS)}").status_code == 200
    assert client.get(f"/device?id={quote(BLANKS.strip())}").status_code == 404
