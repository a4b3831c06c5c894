"""A ledger is compared with the ranked incidents as they are."""

from batch_scoring.alerts.lookup import look_up
from tests.alerts.ledgers import make_incidents
from tests.tables_on_disk import TableOnDisk


def test_all_ranked_incidents_are_found(tmp_path):
    table = TableOnDisk(tmp_path)
    assert look_up(table.load()).num_rows == 0
    table.add(make_incidents(("a", 0, 1, "open"), ("b", 2, 9, "closed")))
    assert look_up(table.load())["incident_id"].to_pylist() == ["a@0", "b@2"]


def test_a_list_of_an_earlier_version_counts_as_none(tmp_path):
    table = TableOnDisk(tmp_path)
    table.add(make_incidents(("a", 0, 1, "open")).drop_columns(["level"]))
    assert look_up(table.load()).num_rows == 0
