"""A workspace in a container or bucket is served as one in a folder is."""

import re

import pytest

from batch_scoring.storage import is_remote, open_folder
from batch_scoring.storage.row_table import Change
from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.row_tables import dataset_at
from tests.server.sites import site_of

TIMES = {"predictions": "window_start", "daily_totals": "day", "device_incidents": None, "incidents": "start"}


@pytest.fixture
def site(remote):
    rows = prediction_rows("pump-1", "flow", [10.0] * 60, anomalies=range(40, 60))
    with site_of(fleet_of(rows)) as made:
        for name, table in made.tables.items():
            stored = dataset_at(f"{remote}/{name}", TIMES.get(name, table.time))
            if table.exists:
                rows = table.read()
                stored.save(lambda _, rows=rows: Change(rows.schema, [[rows]]))
            made.tables[name] = stored.load()
        made.published = open_folder(f"{remote}/published")
        assert all(is_remote(table.folder.path()) for table in made.tables.values())
        yield made


@pytest.mark.slow
def test_pages_are_read_and_actions_written(site):
    with site.client() as client:
        assert "pump-1" in client.get("/").text
        assert '"sensor":"flow"' in client.get("/device?id=pump-1").text
        path = re.search(r'href="(/incidents/[0-9a-f]{16})"', client.get("/incidents").text)[1]
        csrf = re.search(r'name="csrf" value="(\w+)"', client.get(path).text)[1]
        client.post(path, data={"csrf": csrf, "do": "acknowledge"})
        assert 'id="state">acknowledged<' in client.get(path).text
        assert client.get("/jobs").status_code == 200
