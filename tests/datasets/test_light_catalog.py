"""The project's catalog is Kedro's, and copies what it is given."""

import pyarrow as pa

from batch_scoring.datasets.light_catalog import LightCatalog


def test_plain_values_are_copied_and_others_kept_in_kedros_way():
    catalog = LightCatalog()
    plain, table = {"a": [1]}, pa.table({"a": [1]})
    catalog["plain"], catalog["table"] = plain, table
    plain["a"].append(2)
    assert catalog.load("plain") == {"a": [1]}
    assert catalog.load("table").equals(table)


def test_what_a_node_hands_to_the_next_is_not_copied():
    catalog, rows = LightCatalog(), [1]
    catalog.get("between_nodes", fallback_to_runtime_pattern=True).save(rows)
    assert catalog.load("between_nodes") is rows
