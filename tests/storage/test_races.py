"""Two writers of one file, readers meanwhile, killed writers: it is always somebody's whole."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from azure.storage.blob._generated.operations import BlockBlobOperations

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.registry.published import load_published, publish
from batch_scoring.storage import blob, blob_service, open_folder
from tests.bucket_storage import put_as_another
from tests.emulators.faulty_proxy import Fault
from tests.fleet_models import make_model

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.fixture
def folder(remote, monkeypatch):
    monkeypatch.setattr(blob_service, "SINGLE_PUT_BYTES", MIB)
    return open_folder(f"{remote}/there")


def write(folder, name, data):
    with folder.writing(name) as file:
        file.write(data)


def test_who_writes_what_another_wrote_meanwhile_is_refused(folder):
    def write_slowly(data):
        with folder.writing("a") as file:
            file.write(data)
            write(folder, "a", b"theirs")

    for former in (None, b"former"):
        if former:
            write(folder, "a", former)
        with pytest.raises(InputError, match="there/a: another run has written this meanwhile"):
            write_slowly(b"mine")
        assert folder.read("a")[0] == b"theirs"
        write_slowly(b"theirs")  # the same bytes: nothing is lost
        folder.delete("a")


def test_what_another_run_wrote_since_it_was_listed_is_not_overwritten(folder, remote):
    write(folder, "a", b"former")
    assert len(folder.entries()) == 1
    put_as_another(f"{remote}/there/a", b"theirs")
    put_as_another(f"{remote}/there/b", b"theirs")
    for name in ("a", "b"):
        with pytest.raises(InputError, match="another run has written this meanwhile"):
            write(folder, name, b"mine")
        with pytest.raises(InputError, match="another run has written this meanwhile"):
            write(folder, name, b"mine")
        assert folder.read(name)[0] == b"theirs"
        write(folder, name, b"mine, of theirs")


@pytest.mark.azurite
@pytest.mark.parametrize("remote", ["abfs"], indirect=True)
def test_two_writers_of_many_blocks_at_once_never_mix(folder, monkeypatch):
    # Blocks are staged in turns: with names that all writers share, each would commit some of the other's.
    turns = threading.Barrier(2, timeout=60)
    stage = BlockBlobOperations.stage_block

    def staged_in_turns(self, *arguments, **options):
        turns.wait()
        return stage(self, *arguments, **options)

    monkeypatch.setattr(BlockBlobOperations, "stage_block", staged_in_turns)
    monkeypatch.setattr(blob, "CONNECTIONS", 1)
    whole = {letter: letter * (20 * MIB) for letter in (b"a", b"b")}
    refused = []

    def run(data):
        try:
            write(folder, "x", data)
        except InputError:
            refused.append(data[:1])

    threads = [threading.Thread(target=run, args=[data]) for data in whole.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = folder.read("x")[0]
    assert len(refused) == 1
    assert found == whole[({b"a", b"b"} - set(refused)).pop()]


def test_a_file_that_changes_while_it_is_read_is_told(folder):
    write(folder, "a", b"a" * 20 * MIB)
    entry = folder.entry("a")
    write(folder, "a", b"b" * 20 * MIB)
    file = folder.open_ranges("a", entry)
    with pytest.raises(InputError, match="there/a: changed while it was being read"):
        file.read()


def test_of_two_publishers_one_is_refused_and_the_models_are_whole(remote, remote_proxy):
    root = f"{remote}/published"
    publish(root, make_model("vibration", seed=0), "1", "run", "fingerprint")

    def another_publishes():
        publish(open_folder(root), make_model("vibration", seed=2), "3", "run", "fingerprint")

    # Just before the manifest of version 2 is put, another run publishes version 3.
    remote_proxy.faults.append(
        Fault(
            "pass",
            applies=lambda method, path: method == "PUT" and "manifest" in path,
            before=another_publishes,
        )
    )
    with pytest.raises(InputError, match=r"vibration/manifest\.json: another run has written this meanwhile"):
        publish(root, make_model("vibration", seed=1), "2", "run", "fingerprint")
    there = load_published(root, "vibration").verify()
    assert there.manifest.version == "3"
    assert there.models.read().table.equals(make_model("vibration", seed=2).table)
    publish(root, make_model("vibration", seed=1), "2", "run", "fingerprint")
    assert load_published(root, "vibration").manifest.version == "2"


WRITER = """
import sys
from batch_scoring.storage import open_folder
folder, size = open_folder(sys.argv[1]), int(sys.argv[2])
turn = 0
while True:
    turn += 1
    with folder.writing("x") as file:
        file.write(bytes([turn % 251]) * size)
        print(turn, flush=True)
"""


@pytest.mark.parametrize(
    "remote", [pytest.param("abfs", marks=pytest.mark.azurite), "s3"], indirect=True
)  # a bucket of either service stores a file by one request
@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_a_killed_writer_leaves_a_whole_file_and_no_scratch(
    remote, folder, size, tmp_path, monkeypatch, trials
):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    write(folder, "x", b"\0" * size)
    for trial in range(trials):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, f"{remote}/there", str(size)],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        process.stdout.readline()
        time.sleep(0.3 * (trial + random.random()) / trials)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        data = folder.read("x")[0]
        assert len(data) == size
        assert set(data) == {data[0]}
    # The last killed one's folder is cleared away by the next; all others are gone.
    assert len([one for one in (tmp_path / "tmp").iterdir() if one.is_dir()]) <= 1
    # What a killed writer had sent is carried out after its end, too, and is another run's write.
    for _ in range(1 + trials):
        with suppress(ConflictError):
            write(folder, "x", b"after all that")
            break
        folder.read("x")
    assert folder.read("x")[0] == b"after all that"
