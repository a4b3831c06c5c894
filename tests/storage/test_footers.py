"""What is fetched of a blob: a footer costs its own bytes, rows fetch the file once, in parallel."""

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_folder
from batch_scoring.storage.parquet import open_parquet, save_parquet
from batch_scoring.storage.ranged_file import RangedFile
from batch_scoring.tables.streams import Stream, footer_text
from tests.emulators.faulty_proxy import Fault

pytestmark = pytest.mark.azurite

ROWS = 400_000


def table(seed):
    import numpy as np

    numbers = np.random.default_rng(seed)
    return pa.table({name: numbers.random(ROWS) for name in "abc"})


def openers(folder):
    """Of each file by its name, a function that opens it."""
    names = [entry.name for entry in folder.entries(".parquet")]
    return {name: lambda name=name: open_parquet(folder, name) for name in names}


@pytest.fixture
def folder(container, proxy):
    folder = open_folder(f"abfs://{container}/windows")
    for day in range(3):
        made = table(day)
        save_parquet(folder, f"{day}.parquet", Stream(made.schema, iter([made]), {"digest": str(day)}))
    proxy.requests.clear()
    return folder


def fetched(proxy):
    return sum(size for method, path, size in proxy.requests if method == "GET" and "comp=list" not in path)


def test_footers_cost_their_own_bytes(folder, proxy):
    loaded = openers(folder)
    assert list(loaded) == [f"{day}.parquet" for day in range(3)]
    assert [path for _, path, _ in proxy.requests if "comp=list" not in path] == []
    files = [opened() for opened in loaded.values()]
    assert [footer_text(file, "digest") for file in files] == ["0", "1", "2"]
    assert [file.metadata.num_rows for file in files] == [ROWS] * 3
    assert len([1 for method, *_ in proxy.requests if method == "HEAD"]) == 3
    assert fetched(proxy) <= 3 * (64 << 10)


def test_rows_fetch_the_file_once_and_are_the_same(folder, proxy):
    file = openers(folder)["1.parquet"]()
    groups = [file.read_row_group(group) for group in range(file.num_row_groups)]
    assert pa.concat_tables(groups).equals(table(1))
    assert pa.Table.from_batches(list(file.iter_batches(10_000))).equals(table(1))
    size = next(entry.size for entry in folder.entries() if entry.name == "1.parquet")
    assert fetched(proxy) < size + 5 * (64 << 10)
    assert len([1 for method, path, _ in proxy.requests if method == "GET" and "1.parquet" in path]) >= 2


def test_a_footer_longer_than_the_end_that_is_fetched_is_fetched_whole(container, proxy):
    folder, made = open_folder(f"abfs://{container}/windows"), table(0)
    save_parquet(folder, "x.parquet", Stream(made.schema, iter([made]), {"digest": "d" * 100_000}))
    proxy.requests.clear()
    assert footer_text(openers(folder)["x.parquet"](), "digest") == "d" * 100_000
    assert fetched(proxy) < 400_000


def test_a_storage_that_fails_while_rows_are_read_is_one_sentence(folder, proxy):
    file = openers(folder)["1.parquet"]()
    proxy.faults.append(Fault(503, times=1000))
    with pytest.raises(InputError, match=r"windows/1\.parquet: the storage is throttled"):
        file.read()


def test_a_file_that_is_gone_and_one_that_is_broken_are_named(folder):
    loaded = openers(folder)
    folder.delete("0.parquet")
    with folder.writing("1.parquet") as file:
        file.write(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"0\.parquet: (changed while|this file does not exist)"):
        loaded["0.parquet"]()
    with pytest.raises(InputError, match=r"1\.parquet: not a readable Parquet file"):
        openers(folder)["1.parquet"]()


def test_a_file_may_be_opened_again_and_out_of_order(folder):
    loaded = openers(folder)
    for name in [*reversed(loaded), *loaded]:
        assert footer_text(loaded[name](), "digest") == name[0]


@pytest.mark.parametrize("end", [0, 1, 100, 1000])
def test_a_ranged_file_reads_as_a_file_does(tmp_path, end):
    data = bytes(i % 251 for i in range(1000))
    (tmp_path / "x").write_bytes(data)
    file = RangedFile(1000, lambda: data[1000 - end :], lambda: (tmp_path / "x").open("rb"))
    for start, size in ((0, 10), (990, 100), (500, 0), (899, 2), (0, -1), (2000, 5)):
        assert file.seek(start) == start
        assert file.read(size) == (data[start:] if size < 0 else data[start : start + size])
    file.seek(-4, 2)
    assert file.read() == data[-4:]
