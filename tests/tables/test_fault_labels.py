import pyarrow as pa

from batch_scoring.tables.fault_labels import NOT_FAULTS, faults_only


def test_events_that_are_no_faults_are_left_out_and_labels_without_a_kind_are_not():
    kinds = ["drift", None, "silence", "fleet_event"]
    table = pa.table({"kind": [*kinds[:2], *NOT_FAULTS, *kinds[2:]]})
    assert faults_only(table)["kind"].to_pylist() == kinds


def test_a_table_without_columns_stays_as_it_is():
    assert faults_only(pa.table({})).num_columns == 0
