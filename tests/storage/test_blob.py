"""A folder of blobs or of a bucket does what a local folder does, over real sockets with the real client."""

import pytest

from batch_scoring.storage import open_file, open_folder
from tests.bucket_storage import ON_S3

BIG = bytes(range(256)) * (20 << 12)  # 20 MiB: several blocks


KINDS = ["local", pytest.param("blob", marks=pytest.mark.azurite), ON_S3, "gs"]


@pytest.fixture(params=KINDS)
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setattr("batch_scoring.storage.blob_service.SINGLE_PUT_BYTES", 1 << 20)
    if request.param == "local":
        return open_folder(tmp_path / "there")
    if request.param in ("s3", "gs"):
        return open_folder(f"{request.getfixturevalue('new_bucket')(request.param).url}/there")
    return open_folder(f"abfs://{request.getfixturevalue('container')}/there")


def write(folder, name, data):
    with folder.writing(name) as file:
        file.write(data)


@pytest.mark.parametrize("data", [b"", b"few", BIG], ids=["nothing", "few", "many blocks"])
def test_what_is_written_is_read(folder, data, tmp_path):
    write(folder, "a/b", data)
    assert folder.local_copy("a/b").read_bytes() == data
    assert folder.read("a/b")[0] == data
    assert folder.entry("a/b").size == len(data)
    (tmp_path / "source").write_bytes(data)
    folder.put("again", tmp_path / "source")
    assert folder.read("again")[0] == data


def test_files_are_listed_by_name_at_any_depth(folder):
    for name in ("z.txt", "b/2.txt", "b/c/1.txt", "b/other", "Pumpe №7%2FSüd/x.txt"):
        write(folder, name, b"x")
    assert [entry.name for entry in folder.entries(".txt")] == [
        "Pumpe №7%2FSüd/x.txt", "b/2.txt", "b/c/1.txt", "z.txt",
    ]  # fmt: skip
    assert [entry.name for entry in folder.below("b").entries()] == ["2.txt", "c/1.txt", "other"]
    assert folder.below("nothing").entries() == []


def test_a_block_that_ends_in_an_error_writes_nothing(folder):
    write(folder, "a", b"old")

    def broken():
        with folder.writing("a") as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert folder.read("a")[0] == b"old"
    assert [entry.name for entry in folder.entries()] == ["a"]


def test_what_is_not_there_is_not_there(folder):
    assert folder.entry("a") is None
    for look in (folder.read, folder.local_copy):
        with pytest.raises(FileNotFoundError):
            look("a")
    folder.delete("a")
    write(folder, "a", b"x")
    folder.delete("a")
    assert folder.entry("a") is None
    with pytest.raises(ValueError, match="is outside its folder"):
        folder.entry("../a")


@pytest.mark.azurite
def test_a_file_is_opened_by_its_own_url(container):
    folder, name = open_file(f"abfs://{container}/x/y.txt")
    write(folder, name, b"1")
    assert [entry.name for entry in open_folder(f"abfs://{container}").entries()] == ["x/y.txt"]
