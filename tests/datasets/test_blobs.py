"""The catalog's datasets behind a URL: what they say of local files holds, and errors name the blob."""

import gzip
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.datasets.annotations import LabelFile
from batch_scoring.datasets.byte_files import PngFolder
from batch_scoring.datasets.fleet_models import EvaluationRuns, FleetModels
from batch_scoring.datasets.parquet import ArrowParquetDataset, OptionalParquetDataset
from batch_scoring.datasets.raw_readings import RawReadings, SimulatedDays
from batch_scoring.datasets.report_files import WholeCSVDataset
from batch_scoring.datasets.whole_files import WholeJSONDataset, WholeTextDataset
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.sources import choose_sources, source_row
from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.published import load_published, publish, published_as
from batch_scoring.storage import open_folder
from batch_scoring.tables.schemas import SOURCES
from tests.fleet_models import make_model

TABLE = pa.table({"a": [1, 2, 3]})


@pytest.fixture
def root(remote):
    return f"{remote}/data"


def put(root, name, data):
    with open_folder(root).writing(name) as file:
        file.write(data)


def names(path):
    return [file.name for file in RawReadings(path).load()]


def test_a_table_comes_back_and_its_bytes_are_those_of_a_local_file(root, tmp_path):
    ArrowParquetDataset(f"{root}/x.parquet").save(TABLE)
    ArrowParquetDataset(str(tmp_path / "x.parquet")).save(TABLE)
    assert ArrowParquetDataset(f"{root}/x.parquet").load().read().equals(TABLE)
    assert open_folder(root).read("x.parquet")[0] == (tmp_path / "x.parquet").read_bytes()
    assert OptionalParquetDataset(f"{root}/y.parquet").load().read().num_rows == 0
    with pytest.raises(Exception, match=r"data/y\.parquet: this file does not exist yet"):
        ArrowParquetDataset(f"{root}/y.parquet").load()


def test_raw_readings_are_a_blob_a_folder_or_a_glob(root):
    for name in ("2026/a.csv", "2026/b/c.jsonl.gz", "d.parquet", ".hidden/e.csv", "notes.md"):
        put(root, name, b"x")
    assert names(root) == ["2026/a.csv", "2026/b/c.jsonl.gz", "d.parquet"]
    assert names(f"{root}/2026/") == ["a.csv", "b/c.jsonl.gz"]
    assert names(f"{root}/2026/a.csv") == ["a.csv"]
    assert names(f"{root}/*.parquet") == ["d.parquet"]
    assert names(f"{root}/**/*.[cj]s*") == ["2026/a.csv", "2026/b/c.jsonl.gz"]
    with pytest.raises(Exception, match="has no files of readings; name a file"):
        RawReadings(f"{root}/nothing").load()


def test_simulated_days_are_told_by_their_footers(root):
    made = TABLE.replace_schema_metadata({"simulation": "abc"})
    RawReadings(root).save({"2026-01-05": made, "other": TABLE, "late.csv": TABLE})
    assert SimulatedDays(root).load() == {"2026-01-05": "abc"}
    assert names(root) == ["2026-01-05.parquet", "late.csv", "other.parquet"]


def test_a_source_is_a_local_file_while_it_is_read_and_its_errors_name_the_blob(root):
    put(root, "a.csv.gz", gzip.compress(b"timestamp,device,sensor,value\n"))
    (source,) = RawReadings(root).load()
    with source.opened() as path:
        assert path.endswith("a.csv.gz")
        assert gzip.decompress(Path(path).read_bytes()).startswith(b"timestamp")

    def broken():
        with source.opened() as path:
            raise InputError(f"{path}: line 3 is not UTF-8")

    with pytest.raises(InputError, match=r"^(abfs|s3|gs)://\w+/data/a\.csv\.gz: line 3 is not UTF-8$"):
        broken()
    put(root, "a.csv.gz", b"changed")
    assert source.has_changed()


def test_a_source_is_read_again_only_when_it_has_changed(root, tmp_path):
    settings, everything = read_settings(None), Selection.read(None, None)
    put(root, "raw/a.csv", b"timestamp,device,sensor,value\n")
    sources = RawReadings(f"{root}/raw")
    (pending,) = choose_sources(sources.load(), SOURCES.empty_table(), settings.digest, everything).pending
    row = source_row(pending, settings.digest, 0, 0)
    known = pa.Table.from_pylist([row], schema=SOURCES)
    assert choose_sources(sources.load(), known, settings.digest, everything).pending == []
    put(root, "raw/a.csv", b"timestamp,device,sensor,valuX\n")
    (again,) = choose_sources(sources.load(), known, settings.digest, everything).pending
    assert again.content != pending.content
    # A local file of the same size is compared by its bytes: its version is of another kind.
    (tmp_path / "a.csv").write_bytes(b"timestamp,device,sensor,valuY\n")
    local = RawReadings(str(tmp_path)).load()
    (local,) = choose_sources(local, known, settings.digest, everything).pending
    assert local.content not in (again.content, pending.content)


def test_published_models_are_fetched_once_for_all_jobs_of_a_machine(root, remote_proxy, tmp_path):
    publish(f"{root}/published", make_model("vibration"), "1", "run", "fingerprint")
    publish(f"{root}/published", make_model("air/flow"), "1", "run", "fingerprint")
    remote_proxy.requests.clear()
    loaded = FleetModels(root).load()
    assert list(loaded) == ["air/flow", "vibration"]
    assert loaded["vibration"]().models.read().table.equals(make_model("vibration").table)
    again = FleetModels(root).load()["vibration"]()
    assert again.models.path.parent == tmp_path / "cache"
    tables = [
        path for method, path, _ in remote_proxy.requests if method == "GET" and ".arrow" in unquote(path)
    ]
    assert len(tables) == 1
    assert published_as(f"{root}/published", "vibration", "1", "run") == again.manifest


def test_a_damaged_published_table_is_found_and_published_again(root):
    manifest = publish(root, make_model("vibration"), "1", "run", "fingerprint")
    name = f"vibration/{manifest.file}"
    open_folder(root).delete(name)
    with pytest.raises(
        InputError, match=r"vibration/\w+\.arrow: the published table .* is missing; publish it"
    ):
        load_published(root, "vibration")
    put(root, name, b"not a table")
    with pytest.raises(
        InputError, match=r"://.*vibration/\w+\.arrow: the published table .* is damaged: this is no"
    ):
        load_published(root, "vibration")
    publish(root, make_model("vibration"), "1", "run", "fingerprint")
    assert isinstance(load_published(root, "vibration").verify().models, FleetFile)


def test_publishing_the_same_again_writes_nothing(root, remote_proxy):
    publish(root, make_model("vibration"), "1", "run", "fingerprint")
    remote_proxy.requests.clear()
    publish(root, make_model("vibration"), "1", "run", "fingerprint")
    assert [path for method, path, _ in remote_proxy.requests if method == "PUT"] == []


def test_pages_and_tables_come_back_from_a_folder(tmp_path):
    written_and_read(str(tmp_path / "report"))


def test_pages_and_tables_come_back(root):
    written_and_read(f"{root}/report")


def written_and_read(place):
    rows = pa.table({"a": [1, 2]})
    datasets = {
        WholeTextDataset(filepath=f"{place}/t.html"): "Süd №7",
        WholeJSONDataset(filepath=f"{place}/j.json", save_args={"ensure_ascii": False}): {"a": ["Süd"]},
        WholeCSVDataset(filepath=f"{place}/c.csv"): rows,
    }
    for dataset, data in datasets.items():
        assert not dataset.exists()
        dataset.save(data)
        assert dataset.exists()
    text, data, table = (dataset.load() for dataset in datasets)
    assert (text, data) == ("Süd №7", {"a": ["Süd"]})
    assert table.equals(rows)
    assert sorted(entry.name for entry in open_folder(place).entries()) == ["c.csv", "j.json", "t.html"]


def test_drawings_that_were_not_given_again_are_removed_and_other_blobs_stay(root):
    drawings = PngFolder(f"{root}/evaluation")
    drawings.save({"a.png": b"1", "b.png": b"2"})
    put(root, "evaluation/notes.md", b"mine")
    put(root, "evaluation/deeper/c.png", b"mine too")
    drawings.save({"b.png": b"3"})
    assert drawings.load() == {"b.png": b"3"}
    assert [entry.name for entry in open_folder(root).entries()] == [
        "evaluation/b.png",
        "evaluation/deeper/c.png",
        "evaluation/notes.md",
    ]


def test_labels_are_read_from_a_blob_and_their_errors_name_it(root):
    labels = LabelFile(otherwise=f"{root}/labels.csv")
    assert labels.load().num_rows == 0
    put(root, "labels.csv", b"device,sensor,start,end\nd1,s1,2026-01-01,2026-01-02\n")
    assert labels.load().num_rows == 1
    put(root, "labels.csv", b"device,sensor,start,end\nd1,s1,2026-01-01,soon\n")
    with pytest.raises(Exception, match=r"\n[^ ]*/data/labels\.csv: line 2"):
        labels.load()
    with pytest.raises(Exception, match=r"none\.csv: there is no such file"):
        LabelFile(f"{root}/none.csv").load()


def test_labels_of_two_times_are_of_the_device_that_their_blob_is_named_after(root):
    for device in ("d1", "d2"):
        put(root, f"labels/{device}.csv", b"2026-01-01,2026-01-02\n")
    for place in ("labels", "labels/"):
        found = LabelFile(f"{root}/{place}").load()
        assert found["device"].to_pylist() == ["d1", "d2"]
    assert LabelFile(f"{root}/labels/d2.csv").load()["device"].to_pylist() == ["d2"]


def test_an_evaluation_beside_data_in_blobs_asks_for_a_tracking_server(root, no_tracking_uri):
    with pytest.raises(Exception, match="name a tracking server in MLFLOW_TRACKING_URI"):
        EvaluationRuns(f"{root}/06_models").save(TrackedEvaluation("none"))
