"""No key, token or signature in anything that `publish` and `receive` print, with every logger at DEBUG."""

import re
import shutil
import subprocess

import pytest
import yaml
from azure.eventhub import EventHubSharedKeyCredential

from tests.emulators.azurite import new_key
from tests.emulators.event_hubs.__main__ import KEY_NAME
from tests.emulators.event_hubs.process import KEY
from tests.end_to_end.workspaces import PROJECT, SMALL_FLEET, BlobWorkspace

pytestmark = [pytest.mark.slow, pytest.mark.azurite]

WRONG_KEY = "bm90IHRoZSBrZXkgb2YgdGhpcyBodWI="
DEBUG_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
}
# Of a token for `$cbs`, of a connection string, and of a request to Blob Storage.
SECRETS = re.compile(
    r"sig(=|%3D)(?!…|REDACTED)|SharedAccessSignature|SharedAccessKey=|AccountKey=|SharedKey \w+:"
    r"|Bearer \S{8}",
    re.IGNORECASE,
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's configuration, to be changed: the clients trace their frames, too."""
    source = tmp_path / "conf"
    shutil.copytree(PROJECT / "conf", source)
    catalog = source / "base/catalog.yml"
    for dataset in ("EventHub", "PublishedEvents"):
        entry = f"type: batch_scoring.datasets.event_hub.{dataset}\n"
        options = "  client_options: {logging_enable: true}\n"
        text = catalog.read_text()
        assert entry in text
        catalog.write_text(text.replace(entry, entry + options))
    (tmp_path / "logging.yml").write_text(yaml.safe_dump(DEBUG_LOGGING))
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(tmp_path / "logging.yml"))
    return source


@pytest.fixture
def run(project, container):
    """Runs pipelines over the stand-in and Azurite; gives the exit code and all that was printed."""
    workspace = BlobWorkspace(f"abfs://{container}/live", f"{SMALL_FLEET},simulate.devices=2,simulate.days=1")

    def run(pipelines):
        command = [*workspace.command(pipelines), "--conf-source", str(project)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def require_no_secret(output, *keys):
    assert "CBS" in output, "the clients of Event Hubs logged nothing at DEBUG"
    for key in keys:
        for form in (key, key.rstrip("="), key.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")):
            assert form not in output
    found = SECRETS.search(output)
    assert found is None, output[max(0, found.start() - 200) : found.end() + 20]


def test_the_pattern_knows_the_token_that_a_client_makes_of_a_key():
    token = EventHubSharedKeyCredential(KEY_NAME, KEY).get_token("sb://fleet/telemetry").token
    assert SECRETS.search(str(token))


@pytest.mark.parametrize("how", ["environment", "credentials.yml"])
def test_with_the_right_key(event_hubs, azurite, run, project, monkeypatch, how):
    if how == "environment":
        monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string())
    else:
        with_credentials(project, event_hubs.connection_string(), azurite.connection_string())
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    for pipelines in ("publish", "receive,ingest"):
        code, output = run(pipelines)
        assert code == 0, output[-3000:]
        require_no_secret(output, KEY, azurite.key)
    assert "telemetry/$default/checkpoint" in output, "no checkpoint was written to Azurite"


def test_with_a_wrong_key(event_hubs, azurite, run, monkeypatch):
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string(key=WRONG_KEY))
    for pipelines in ("publish", "receive"):
        code, output = run(pipelines)
        assert code == 1
        assert "refuses the key or token" in output
        require_no_secret(output, WRONG_KEY, KEY, azurite.key)


def test_with_a_wrong_key_of_the_storage_that_holds_the_checkpoints(event_hubs, azurite, run, monkeypatch):
    wrong = new_key()
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string())
    text = azurite.connection_string().replace(azurite.key, wrong)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    code, output = run("receive")
    assert code == 1
    assert "account key is refused" in output
    for key in (KEY, wrong, azurite.key):
        assert key not in output
    assert SECRETS.search(output) is None


def with_credentials(source, hub, storage):
    """Kedro's way: a file of credentials, and its entries named in the catalog."""
    credentials = {
        "hub": {"connection_string": hub, "storage_connection_string": storage},
        "azure_storage": {"connection_string": storage},
    }
    (source / "azure/credentials.yml").write_text(yaml.safe_dump(credentials))
    catalog = source / "base/catalog.yml"
    option = "  client_options: {logging_enable: true}\n"
    catalog.write_text(catalog.read_text().replace(option, f"{option}  credentials: hub\n"))
