"""What only buckets have: their credentials, their errors, and tables that several processes write."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import pytest

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.storage import bucket_service, open_folder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS
from tests.bucket_storage import ON_S3, put_as_another
from tests.emulators.faulty_proxy import ANSWERS, Fault, FaultyProxy
from tests.row_tables import add, dataset_at, devices, readings, table_at

pytestmark = pytest.mark.slow

FOREVER = 10_000
buckets = pytest.mark.parametrize("remote", [ON_S3, "gs"], indirect=True)
s3 = pytest.mark.parametrize("remote", [ON_S3], indirect=True)
gs = pytest.mark.parametrize("remote", ["gs"], indirect=True)


@buckets
def test_a_table_is_written_read_and_contended_for_without_showing_a_secret(
    remote: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    url = f"{remote}/data/Süd №7 & mehr/readings"
    assert not dataset_at(url).exists()
    first = add(url, readings((0, "ü", 1), (1440, "b/c", 2)), progress={"step": 1})
    seen = []

    def update(table: RowTable) -> Change:
        seen.append(table.version)
        if len(seen) == 1:
            add(url, readings((1, "theirs", 3)), progress={"step": 2})
        rewritten = [(file, [readings((1440, "b/c", 9))]) for file in table.files(devices=["b/c"])]
        return Change(READINGS, progress={"step": 3}, rewritten=lambda: rewritten)

    dataset_at(url).save(update)
    table = dataset_at(url).load()
    assert seen == [first.version, first.version + 1]
    assert sorted(table.read()["value"].to_pylist()) == [1, 3, 9]
    assert table.progress("step") == 3
    shown = caplog.text + repr(table) + "".join(capfd.readouterr()) + repr(table.folder.__dict__)
    assert "nobody-may-see-this" not in shown


@buckets
@pytest.mark.parametrize("kind", ["lost answer", 503, "reset"])
def test_a_commit_in_trouble_is_there_once_with_its_rows(remote: str, remote_proxy: FaultyProxy, kind: Any):
    url = f"{remote}/readings"
    add(url, readings((0, "a", 1)))
    remote_proxy.faults.append(
        Fault(kind, applies=lambda method, path: method == "PUT" and "/_delta_log/" in unquote(path))
    )
    dataset_at(url).save(
        lambda table: (
            Change(READINGS, [[readings((1, "b", 2))]], {"step": 1}) if table.num_rows == 1 else None
        )
    )
    assert remote_proxy.faults[0].times == 0
    remote_proxy.faults.clear()
    assert sorted(devices(table_at(url).read())) == ["a", "b"]


RACER = """
import sys
from batch_scoring.core.errors import ConflictError
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import READINGS
from tests.row_tables import readings, table_at
table = table_at(sys.argv[1])
version = table.version
print("ready", flush=True)
input()
try:
    print(table.commit(Change(READINGS, [[readings((1, sys.argv[2], 1))]], {"step": 1})).version - version)
except ConflictError:
    print("refused")
"""


# Over Google's the library's condition meets our own stand-in.
@pytest.mark.parametrize("remote", [ON_S3, pytest.param("gs", marks=pytest.mark.long)], indirect=True)
def test_of_four_processes_that_commit_the_same_step_one_does(remote: str, trials: int):
    url = f"{remote}/readings"
    for turn in range(1 if trials <= 2 else trials // 10):
        add(url, readings((0, f"before {turn}", 1)), progress={"step": -turn})
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, url, f"racer {turn} {one}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for one in range(4)
        ]  # fmt: skip
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
        with ThreadPoolExecutor(4) as pool:
            said = [out.strip() for out, _ in pool.map(lambda racer: racer.communicate("go\n"), racers)]
        assert sorted(said) == ["1", "refused", "refused", "refused"]
        table = table_at(url)
        assert table.progress("step") == 1
        won = [device for device in devices(table.read()) if device.startswith(f"racer {turn}")]
        assert won == [f"racer {turn} {said.index('1')}"]


@buckets
def test_a_bucket_that_is_missing_is_named(remote: str):
    folder = open_folder(f"{remote}-of-nobody/there")
    url = folder.path("a")
    for use in (
        folder.entries,
        lambda: folder.entry("a"),
        lambda: folder.read("a"),
        lambda: folder.replace("a", b"x", None),
        lambda: table_at(folder.path("readings")).read(),
        lambda: add(folder.path("readings"), readings((0, "a", 1))),
    ):
        with pytest.raises(InputError, match=r"bucket 'b\w+-of-nobody' does not exist; create it") as error:
            use()
        assert str(error.value).startswith(url.removesuffix("/a"))


ANSWERED = {
    "AccessDenied": (403, "access is refused (403 AccessDenied); this identity needs"),
    "InvalidAccessKeyId": (403, "the key is refused (InvalidAccessKeyId)"),
    "SignatureDoesNotMatch": (403, "the key is refused (SignatureDoesNotMatch)"),
    "RequestTimeTooSkewed": (403, "this machine's clock is wrong; set the clock"),
    "ExpiredToken": (400, "the sign-in has expired (ExpiredToken); sign in again"),
    "AuthorizationHeaderMalformed": (400, "the bucket is in another region; set AWS_REGION to it"),
    "PermanentRedirect": (301, "the bucket is in another region; set AWS_REGION to it"),
    "EntityTooLarge": (400, "the storage refuses this request (400 EntityTooLarge)"),
}


@s3
@pytest.mark.parametrize("code", ANSWERED)
def test_a_refusal_is_one_sentence_with_what_to_do(
    remote: str, remote_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, code: str
):
    """As S3 words them: its stand-in lets everybody in, from anywhere."""
    status, said = ANSWERED[code]
    monkeypatch.setitem(ANSWERS, status, ("Refused", code))
    remote_proxy.faults.append(Fault(status, FOREVER))
    url = f"{remote}/there"
    for use in (
        open_folder(url).entries,
        lambda: open_folder(url).replace("a", b"x", None),
        lambda: table_at(url).read(),
    ):
        with pytest.raises(InputError) as error:
            use()
        assert said in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        assert "nobody-may-see-this" not in str(error.value)


@s3
def test_a_write_that_meets_another_is_decided_afterwards(
    remote: str, remote_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
):
    """S3 answers 409 while another write of the object is under way."""
    monkeypatch.setitem(ANSWERS, 409, ("Conflict", "ConditionalRequestConflict"))
    folder = open_folder(f"{remote}/there")
    for data, former in ((b"1", None), (b"2", "known")):
        version = folder.read("a")[1] if former else None
        remote_proxy.faults.append(Fault(409))
        folder.replace("a", data, version)
        assert remote_proxy.faults[-1].times == 0
        assert folder.read("a")[0] == data
    version = folder.read("a")[1]
    remote_proxy.faults.append(Fault(409, before=lambda: put_as_another(f"{remote}/there/a", b"theirs")))
    with pytest.raises(ConflictError, match="another run has written this meanwhile"):
        folder.replace("a", b"3", version)


def test_the_region_that_s3_names_is_told():
    from batch_scoring.storage.bucket_errors import clear_errors
    from batch_scoring.storage.location import Location

    text = (
        "Server returned non-2xx status code: 400 Bad Request: <Error>"
        "<Code>AuthorizationHeaderMalformed</Code>"
        "<Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>"
    )

    def asked() -> None:
        from obstore.exceptions import GenericError

        with clear_errors("s3://b/x", Location.read("s3://b/x")):
            raise GenericError(text)

    with pytest.raises(InputError, match="s3://b/x: the bucket is in region 'eu-west-1'; set AWS_REGION"):
        asked()


@pytest.mark.parametrize(
    ("url", "variables", "said"),
    [
        ("s3://b", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the storage cannot be reached"),
        ("gs://b", {"STORAGE_EMULATOR_HOST": "127.0.0.1:9"}, "the storage cannot be reached"),
        ("s3://b", {"AWS_ENDPOINT_URL": "http://minio.example"}, "expected https, except on this machine"),
        ("gs://b", {"STORAGE_EMULATOR_HOST": "gcs.example:80"}, "expected https, except on this machine"),
        ("gs://b", {"GOOGLE_APPLICATION_CREDENTIALS": "/no/key.json"}, r"its client says: .*/no/key\.json"),
        ("s3://b", {"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": ""}, r"AWS: .*\(nobody\) could not"),
    ],
)  # fmt: skip
def test_an_environment_that_leads_nowhere_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path, url: str, variables: dict[str, str], said: str
):
    monkeypatch.setattr(bucket_service, "FIRST_WAIT_SECONDS", 0.001)
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "STORAGE_EMULATOR")):
            monkeypatch.delenv(name)
    signed_in = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": str(tmp_path)}
    for name, value in (signed_in | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said) as error:
        open_folder(url).entries()
    assert len(str(error.value).splitlines()) == 1


@s3
def test_a_profile_signs_in_for_both_clients(
    remote: str, remote_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    """The key's name is in every request; the stand-in believes anybody."""
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text(
        "[plant]\naws_access_key_id = of-the-plant\naws_secret_access_key = nobody-may-see-this\n"
    )
    config.write_text("[profile plant]\nregion = eu-central-1\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "plant")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    remote_proxy.signers.clear()
    add(f"{remote}/readings", readings((0, "a", 1)))
    assert devices(table_at(f"{remote}/readings").read()) == ["a"]
    assert remote_proxy.signers == {"of-the-plant/eu-central-1"}


@s3
def test_names_of_other_programs(remote: str, request: pytest.FixtureRequest):
    """A console makes an empty object for a folder; what is no path in any folder is named."""
    service, bucket = request.getfixturevalue("bucket_services")["s3"], remote.removeprefix("s3://")
    for name in ("raw/", "raw/a.csv", "raw/S%C3%BCd%20%252F%23%3F.csv"):
        service.ask("PUT", f"/{bucket}/{name}")
    assert [entry.name for entry in open_folder(f"{remote}/raw").entries()] == ["Süd %2F#?.csv", "a.csv"]
    service.ask("PUT", f"/{bucket}/raw//b.csv")
    with pytest.raises(InputError, match=r"'raw//b\.csv' is not valid; expected a name without '//'"):
        open_folder(f"{remote}/raw").entries()


@gs
def test_more_files_than_a_page_of_a_listing_holds(remote: str, request: pytest.FixtureRequest):
    service = request.getfixturevalue("bucket_services")["gs"]
    stored = service.buckets[remote.removeprefix("gs://")]
    put_as_another(f"{remote}/x", b"1")
    names = [f"many/{number:05}" for number in range(2500)]
    stored.update(dict.fromkeys(names, stored["x"]))
    assert [entry.name for entry in open_folder(f"{remote}").below("many").entries()] == [
        name.removeprefix("many/") for name in names
    ]
