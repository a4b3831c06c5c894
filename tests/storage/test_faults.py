"""A storage in trouble: what passes is retried, what stays is one clear sentence, nothing is half written."""

import os
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from batch_scoring.cloud.retry import RETRIES
from batch_scoring.core.errors import InputError
from batch_scoring.storage import blob_retry, blob_service, open_folder
from tests.emulators.azurite import ACCOUNT, new_key
from tests.emulators.faulty_proxy import Fault

pytestmark = pytest.mark.slow

BIG = os.urandom(20 << 20)
FOREVER = 10_000
azurite = pytest.mark.azurite
# A bucket stores many blocks as it does few; it fetches them apart.
WRITTEN = [
    pytest.param("abfs", b"few", id="abfs-few", marks=azurite),
    pytest.param("abfs", BIG, id="abfs-many blocks", marks=azurite),
    pytest.param("s3", b"few", id="s3-few", marks=pytest.mark.slow),
    pytest.param("gs", b"few", id="gs-few"),
]
READ = [*WRITTEN, pytest.param("gs", BIG, id="gs-many blocks")]


@pytest.fixture
def folder(remote, remote_proxy, monkeypatch):
    monkeypatch.setattr(blob_service, "SINGLE_PUT_BYTES", 1 << 20)
    return open_folder(f"{remote}/there")


def write(folder, name, data):
    with folder.writing(name) as file:
        file.write(data)


def is_put(method, path):
    return method == "PUT"


def is_get(method, path):
    return method == "GET"


@pytest.mark.parametrize("kind", [429, 500, 503, "reset", "lost answer"])
@pytest.mark.parametrize(("remote", "data"), WRITTEN, indirect=["remote"])
def test_a_passing_trouble_is_not_noticed_by_a_writer(folder, remote_proxy, kind, data):
    remote_proxy.faults.append(Fault(kind, times=3, applies=is_put))
    write(folder, "a", data)
    remote_proxy.faults.clear()
    assert folder.read("a")[0] == data


@pytest.mark.parametrize("kind", [429, 500, 503, "reset", "lost answer", "truncated"])
@pytest.mark.parametrize(("remote", "data"), READ, indirect=["remote"])
def test_a_passing_trouble_is_not_noticed_by_a_reader(folder, remote_proxy, kind, data):
    write(folder, "a", data)
    remote_proxy.faults.append(Fault(kind, times=2, applies=is_get))
    assert folder.local_copy("a").read_bytes() == data
    assert remote_proxy.faults[0].times == 0


@pytest.mark.parametrize(("remote", "data"), WRITTEN, indirect=["remote"])
def test_a_writer_whose_answer_was_lost_knows_its_own_bytes(folder, remote_proxy, data):
    write(folder, "a", b"former")
    # Many blocks are stored when they are committed.
    applies = (lambda method, path: "comp=blocklist" in path) if data is BIG else is_put
    remote_proxy.faults.append(Fault("lost answer", applies=applies))
    write(folder, "a", data)
    assert remote_proxy.faults[0].times == 0
    assert folder.read("a")[0] == data


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (429, r"the storage is throttled \(429( ServerBusy)?\)"),
        (503, r"the storage is throttled \(503( ServerBusy)?\)"),
        (507, r"the storage is full \(507( InsufficientStorage)?\); make room or raise its quota"),
        (500, r"the storage fails \(500( InternalError)?\)"),
        ("reset", r"the connection to the storage broke"),
    ],
)
def test_a_lasting_trouble_is_one_sentence_after_bounded_retries(folder, remote_proxy, kind, said):
    write(folder, "a", b"former")
    fault = Fault(kind, times=FOREVER, applies=lambda method, path: "/a" in unquote(path))
    remote_proxy.faults.append(fault)
    for use in (
        lambda: folder.read("a"),
        lambda: write(folder, "a", b"new"),
        lambda: folder.put("a", Path(__file__)),
    ):
        before = fault.times
        with pytest.raises(InputError, match=said) as error:
            use()
        assert before - fault.times <= RETRIES + 1
        assert "\n" not in str(error.value)
        assert error.value.__cause__ is None
    remote_proxy.faults.clear()
    assert folder.read("a")[0] == b"former"
    write(folder, "a", b"new")
    assert folder.read("a")[0] == b"new"


def test_a_wait_doubles_and_all_of_them_last_less_than_half_a_minute():
    waits = [blob_retry.BoundedRetry().get_backoff_time({"count": n}) for n in range(1, RETRIES + 1)]
    assert all(later > earlier for earlier, later in pairwise(waits))
    assert 0.6 <= waits[0] <= 1
    assert sum(waits) < 32


def refused(monkeypatch, container, **variables):
    for name in ("CONNECTION_STRING", "ACCOUNT", "KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    with pytest.raises(InputError) as error:
        open_folder(f"abfs://{container}/there").entries()
    return str(error.value)


def make_sas(azurite, container, begins=-60, ends=60, permission="rwdlc"):
    from azure.storage.blob import generate_container_sas

    now = datetime.now(UTC)
    return generate_container_sas(
        ACCOUNT, container, azurite.key, permission=permission,
        start=now + timedelta(minutes=begins), expiry=now + timedelta(minutes=ends),
    )  # fmt: skip


@azurite
def test_a_wrong_key_is_told_and_not_shown(azurite, container, monkeypatch):
    key = new_key()
    said = refused(monkeypatch, container, ACCOUNT=azurite.url(), KEY=key)
    assert re.search(r"the account key is refused \(Auth\w+\).*current key", said)
    assert key not in said


@azurite
def test_a_key_that_is_no_key_is_told_and_not_shown(azurite, container, monkeypatch):
    said = refused(monkeypatch, container, ACCOUNT=azurite.url(), KEY="not-base64!")
    assert "the account key cannot be read" in said
    assert "not-base64" not in said


@azurite
def test_an_expired_sas_is_told_with_the_moment_it_ended(azurite, container, monkeypatch):
    sas = make_sas(azurite, container, -120, -60)
    said = refused(monkeypatch, container, ACCOUNT=azurite.url(), SAS_TOKEN=sas)
    assert re.search(r"the SAS expired at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said)
    assert "sig=" not in said


@azurite
def test_a_sas_of_tomorrow_and_one_of_too_little_are_told(azurite, container, monkeypatch):
    later = refused(
        monkeypatch, container, ACCOUNT=azurite.url(), SAS_TOKEN=make_sas(azurite, container, 60, 120)
    )
    assert "the SAS is not valid before" in later
    little = refused(
        monkeypatch, container, ACCOUNT=azurite.url(), SAS_TOKEN=make_sas(azurite, container, permission="r")
    )
    assert "the SAS is refused" in little


@azurite
def test_a_sas_that_is_good_is_enough(azurite, container, monkeypatch):
    sas = make_sas(azurite, container)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"?{sas}")
    folder = open_folder(f"{azurite.url()}/{container}/there")
    write(folder, "a", BIG)
    assert folder.local_copy("a").read_bytes() == BIG


@azurite
def test_a_missing_container_is_named(azurite, container, monkeypatch):
    said = refused(monkeypatch, "nowhere", CONNECTION_STRING=azurite.connection_string())
    assert "container 'nowhere'" in said


@azurite
def test_a_missing_container_is_named_when_writing(azurite, container):
    with pytest.raises(InputError, match="container 'nowhere'"):
        write(open_folder("abfs://nowhere/there"), "a", b"x")


@azurite
def test_a_storage_that_cannot_be_reached_is_told(monkeypatch, container):
    monkeypatch.setattr(blob_retry, "FIRST_WAIT_SECONDS", 0.01)
    said = refused(monkeypatch, container, ACCOUNT="http://127.0.0.1:9/nobody", KEY=new_key())
    assert "the storage cannot be reached" in said


@azurite
@pytest.mark.parametrize("remote", ["abfs"], indirect=True)
@pytest.mark.parametrize(("minutes", "said"), [(40, "behind"), (-40, "ahead of")])
def test_a_wrong_clock_is_told(folder, proxy, minutes, said):
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    proxy.faults.append(Fault(403, times=FOREVER, date=date))
    with pytest.raises(InputError, match=f"clock is (39|40) minutes {said} the service's; set the clock"):
        folder.entries()


@azurite
def test_nobody_signed_in_is_told(container, monkeypatch):
    from azure.core.exceptions import ClientAuthenticationError

    class Nobody:
        def get_token(self, *_, **__):
            raise ClientAuthenticationError("DefaultAzureCredential failed: secret-of-a-tenant")

        def close(self):
            pass

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Nobody)
    said = refused(monkeypatch, container, ACCOUNT=f"nobody{container}")
    assert "run `az login`" in said
    assert "secret" not in said
