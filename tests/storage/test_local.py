"""A local file is somebody's whole, and what another run wrote is not overwritten without a word."""

import multiprocessing
from pathlib import Path

import pytest

from batch_scoring.core.errors import ConflictError, MachineError
from batch_scoring.storage import open_folder
from batch_scoring.storage.known_versions import forget_versions
from batch_scoring.storage.local import LocalFolder, atomic_file

pytestmark = pytest.mark.slow


def in_another_process(path, data):
    """Write a file as another run does."""
    child = multiprocessing.get_context("fork").Process(target=_write, args=(path, data))
    child.start()
    child.join()
    assert child.exitcode == 0


def _write(path, data):
    with atomic_file(path) as file:
        file.write(data)


def write(folder, name, data):
    with folder.writing(name) as file:
        file.write(data)


@pytest.mark.parametrize("look", ["entries", "entry", "read", "open_ranges", "local_copy"])
def test_what_another_run_wrote_since_it_was_looked_at_is_not_overwritten(tmp_path, look):
    folder = LocalFolder(tmp_path)
    write(folder, "a", b"former")
    getattr(folder, look)(*(["a"] if look != "entries" else []))
    in_another_process(tmp_path / "a", b"theirs")
    for _ in range(2):
        with pytest.raises(ConflictError, match="another run has written this meanwhile"):
            write(folder, "a", b"mine")
        assert (tmp_path / "a").read_bytes() == b"theirs"
    folder.entry("a")  # as the run that is repeated does
    write(folder, "a", b"mine")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_what_a_former_run_of_this_process_saw_is_no_condition_for_the_next(tmp_path):
    folder = LocalFolder(tmp_path)
    write(folder, "a", b"former")
    folder.entries()
    in_another_process(tmp_path / "a", b"theirs")
    in_another_process(tmp_path / "b", b"theirs")
    forget_versions()
    for name in "ab":
        write(folder, name, b"mine")
        assert (tmp_path / name).read_bytes() == b"mine"
    in_another_process(tmp_path / "a", b"theirs")
    with pytest.raises(ConflictError):
        write(folder, "a", b"again")


def test_a_file_that_a_listing_did_not_have_is_not_overwritten(tmp_path):
    folder = LocalFolder(tmp_path)
    folder.entries(".parquet")
    in_another_process(tmp_path / "day/a.parquet", b"theirs")
    in_another_process(tmp_path / "a.csv", b"theirs")
    with pytest.raises(ConflictError):
        write(open_folder(tmp_path / "day"), "a.parquet", b"mine")
    write(folder, "a.csv", b"mine")  # nobody looked for it: it does not depend on what was there


def test_two_runs_that_write_the_same_are_at_peace(tmp_path):
    folder = LocalFolder(tmp_path)
    folder.entries()
    in_another_process(tmp_path / "a", b"same")
    write(folder, "a", b"same")


def test_a_process_may_write_its_own_file_again(tmp_path):
    folder = LocalFolder(tmp_path)
    assert folder.entries() == []
    for data in (b"one", b"two"):
        write(folder, "a", data)
    assert folder.read("a")[0] == b"two"


def test_of_two_that_create_a_file_one_is_refused(tmp_path):
    folder = LocalFolder(tmp_path)
    folder.replace("plan", b"mine", None)
    with pytest.raises(ConflictError):
        LocalFolder(tmp_path).replace("plan", b"theirs", None)
    folder.replace("plan", b"mine", None)
    assert folder.read("plan")[0] == b"mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system that makes nothing")
@pytest.mark.parametrize("path", ["/proc/new", "/proc/new/file"])
def test_where_nothing_can_be_made_the_folder_is_named(path):
    with (
        pytest.raises(MachineError, match=r"^/proc(/new)?: nothing can be made there"),
        atomic_file(Path(path)),
    ):
        raise AssertionError
