"""An entry of the catalog that holds others, and the configuration that names them."""

import pytest
from kedro.io import DatasetError

from batch_scoring.datasets.annotations import AnnotationsDataset
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.row_tables import RowTableDataset, RowTables
from batch_scoring.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from tests.row_tables import add, readings

TEXT = "batch_scoring.datasets.whole_files.WholeTextDataset"
TABLE = "batch_scoring.datasets.row_tables.RowTableDataset"


def texts(folder, *names):
    return Entries({name: {"type": TEXT, "filepath": f"{folder}/{name}.txt"} for name in names})


def test_entries_are_saved_together_and_loaded_when_they_are_asked_for(tmp_path):
    both = texts(tmp_path, "a", "b")
    both.save({"a": "1", "b": "2"})
    loaded = both.load()
    (tmp_path / "b.txt").unlink()
    assert (loaded["a"], [*loaded]) == ("1", ["a", "b"])
    with pytest.raises(DatasetError, match=r"b\.txt"):
        loaded["b"]


def test_they_are_there_when_all_of_them_are(tmp_path):
    both = texts(tmp_path, "a", "b")
    both.save({"a": "1"})
    assert not both.exists()
    both.save({"b": "2"})
    assert both.exists()


def test_a_function_of_the_tables_gets_them_by_their_names(tmp_path):
    add(tmp_path / "readings", readings((0, "a", 1)))
    found = {}
    tables = {"readings": {"type": TABLE, "path": str(tmp_path / "readings"), "time": "timestamp"}}
    RowTables(tables).save(lambda **tables: found.update(tables))
    assert found["readings"].num_rows == 1


def test_what_one_entry_has_read_of_a_tables_log_the_other_knows(tmp_path):
    one, other = (RowTableDataset(str(tmp_path), "timestamp") for _ in range(2))
    add(tmp_path, readings((0, "a", 1)))
    assert one.load().num_rows == other.load().num_rows == 1
    assert one._opened is other._opened
    assert RowTableDataset(str(tmp_path), credentials={"account": "x"})._opened is not one._opened


def test_a_slip_of_a_person_is_named_when_a_step_asks_for_the_entry(tmp_path):
    calendar = {"type": "batch_scoring.datasets.annotations.CalendarFile", "path": f"{tmp_path}/none.csv"}
    annotations = AnnotationsDataset({"calendar": calendar}).load()
    assert annotations.feedback.num_rows == 0
    with pytest.raises(DatasetError, match=r"none\.csv: there is no such file"):
        _ = annotations.calendar


def test_an_entry_that_another_environment_overrides_is_overridden_in_every_entry_that_holds_it(tmp_path):
    for name in ("base", "local"):
        (tmp_path / name).mkdir()
    (tmp_path / "base/catalog.yml").write_text(
        "a: {type: X, path: '${_place}/a'}\nboth: {type: Y, entries: [a, b]}\nb: {type: X}\n_place: p\n"
    )
    (tmp_path / "local/catalog.yml").write_text("b: {type: Z, credentials: mine}\n")
    catalog = CONFIG_LOADER_CLASS(str(tmp_path), **CONFIG_LOADER_ARGS)["catalog"]
    entries = {"a": {"type": "X", "path": "p/a"}, "b": {"type": "Z", "credentials": "mine"}}
    assert catalog["both"] == {"type": "Y", "entries": entries}
    assert catalog["b"] == entries["b"]
