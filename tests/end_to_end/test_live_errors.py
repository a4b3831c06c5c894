"""Whole runs against services in trouble: one sentence, an end in bounded time, and the next run goes on."""

import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import yaml

from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import RowTable
from tests.emulators.event_hubs.faults import Faults
from tests.emulators.event_hubs.process import KEY, EventHubsProcess
from tests.emulators.faulty_proxy import Fault, faulty_proxy
from tests.end_to_end.warm_kedro import WarmKedro, warm_kedro
from tests.end_to_end.workspaces import PROJECT, Workspace
from tests.event_hub.clients import send
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live_errors")]

AT = "at=2026-02-01T00:00Z"
N_READINGS = 40
FOREVER = 1_000_000
# Seven tries over 45 s and what each takes, on a machine with other work; storage gives up sooner.
SECONDS_OF_RETRIES = 45
MOST_SECONDS = 300


def fill(hubs, first=0, count=N_READINGS, partition="0"):
    bodies = [
        json.dumps({"timestamp": 1767571200 + n, "device": "d1", "sensor": "s", "value": n + 0.5})
        for n in range(first, first + count)
    ]
    send(hubs, bodies, partition_id=partition)


@pytest.fixture
def start():
    """Starts a command that sees no service but those that are named; its exit code and output come later."""
    warm_kedro().run(["--version"])  # from now on it is there
    with ThreadPoolExecutor(4) as together:

        def start_it(command, **environment):
            services = (name for name in os.environ if name.startswith(("AZURE_", "EVENT_HUB")))
            arguments = command[command.index("kedro") + 1 :]
            return together.submit(WarmKedro().run, arguments, dict.fromkeys(services) | environment)

        yield start_it


def error_of(command):
    """The sentence a run ended with; that it is one, and the last line, is asserted."""
    code, output = command.result(timeout=MOST_SECONDS)
    assert code == 1, output
    assert "Traceback" not in output
    lines = output.strip().splitlines()
    assert [line for line in lines if line.startswith("Error:")] == lines[-1:]
    assert KEY not in output
    return lines[-1]


def end_well(command):
    code, output = command.result(timeout=MOST_SECONDS)
    assert code == 0, output


def values(workspace):
    return workspace.table("02_intermediate/readings")["value"].to_pylist()


EXPECTED = [n + 0.5 for n in range(N_READINGS)]


def with_group(folder, name):
    """A copy of the configuration in which ``receive`` reads for another consumer group."""
    shutil.copytree(PROJECT / "conf", folder)
    catalog = yaml.safe_load((folder / "base/catalog.yml").read_text(encoding="utf-8"))
    entry = catalog["event_hub"] | {"consumer_group": name}
    entry["checkpoints"] = "${runtime_params:data}/01_raw/checkpoints"
    (folder / "local/catalog.yml").write_text(yaml.safe_dump({"event_hub": entry}), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("hub", "key", "group", "said"),
    [
        (
            "telemetry",
            "d3Jvbmc=",
            "$Default",
            "the service refuses the key or token; copy the connection string",
        ),
        ("nowhere", KEY, "$Default", "this hub does not exist in its namespace; create it"),
        ("telemetry", KEY, "nobody", "consumer group 'nobody' does not exist in this hub; create it"),
    ],
    ids=["wrong key", "missing hub", "missing consumer group"],
)
def test_what_does_not_pass_is_told_at_once_and_leaves_nothing(
    start, event_hubs, tmp_path, hub, key, group, said
):
    fill(event_hubs)
    workspace = Workspace(tmp_path / "live", AT)
    command = [*workspace.command("receive,ingest"), "--conf-source", with_group(tmp_path / "conf", group)]
    began = time.monotonic()
    error = error_of(start(command, EVENT_HUB_CONNECTION_STRING=event_hubs.connection_string(hub, key)))
    assert time.monotonic() - began < SECONDS_OF_RETRIES
    assert said in error
    assert error.startswith(f"Error: event hub '{hub}' of 127.0.0.1, ")
    assert "d3Jvbmc=" not in error
    assert workspace.files("01_raw", "02_intermediate") == {}
    mended = workspace.command("receive,ingest")
    end_well(start(mended, EVENT_HUB_CONNECTION_STRING=event_hubs.connection_string()))
    assert values(workspace) == EXPECTED


@pytest.fixture
def four_hubs(tmp_path):
    """A hub for each of four troubles, so that runs about them go beside each other."""
    hubs = [EventHubsProcess(tmp_path / f"hubs/{n}") for n in range(4)]
    try:
        for hub in hubs:
            fill(hub.start())
        yield hubs
    finally:
        for hub in hubs:
            hub.kill()


def test_what_may_pass_is_waited_for_most_of_a_minute_and_the_next_run_goes_on(start, four_hubs, tmp_path):
    troubled_hubs = dict(zip(("away", "busy", "clock", "sending"), four_hubs, strict=True))
    troubled_hubs["away"].kill()
    troubled_hubs["busy"].inject(Faults(busy_receivers=FOREVER))
    troubled_hubs["clock"].inject(Faults(clock_ahead_seconds=86400.0))
    troubled_hubs["sending"].inject(Faults(busy_sends=FOREVER))
    spaces = {name: Workspace(tmp_path / name, AT) for name in troubled_hubs}
    fleet = "simulate.devices=1,simulate.days=1"

    def run(name):
        pipelines = ("publish", fleet) if name == "sending" else ("receive,ingest",)
        command = spaces[name].command(*pipelines)
        return start(command, EVENT_HUB_CONNECTION_STRING=troubled_hubs[name].connection_string())

    began = time.monotonic()
    running = {name: run(name) for name in troubled_hubs}
    errors = {name: error_of(process) for name, process in running.items()}
    assert SECONDS_OF_RETRIES < time.monotonic() - began < MOST_SECONDS
    assert "listing partitions: the connection failed" in errors["away"]
    assert "partition '" in errors["busy"]
    assert "the service is throttling (server-busy) and did not recover" in errors["busy"]
    assert "this machine's clock is behind the service's: set it" in errors["clock"]
    assert "publishing: the service is throttling (server-busy)" in errors["sending"]
    received = [space for name, space in spaces.items() if name != "sending"]
    assert [space.files("01_raw", "02_intermediate") for space in received] == [{}, {}, {}]

    troubled_hubs["away"].start()
    for name in ("busy", "clock", "sending"):
        troubled_hubs[name].inject(Faults())
    for process in [run(name) for name in troubled_hubs]:
        end_well(process)
    assert [values(space) for space in received] == [EXPECTED] * 3


def test_a_signature_of_ones_own_that_expired_is_told_at_once(start, event_hubs, tmp_path):
    from azure.eventhub._client_base import generate_sas_token

    address = f"Endpoint=sb://127.0.0.1:{event_hubs.port};UseDevelopmentEmulator=true;EntityPath=telemetry"
    token = generate_sas_token("sb://127.0.0.1/telemetry", "RootManageSharedAccessKey", KEY, 1_500_000_000)
    workspace, began = Workspace(tmp_path / "live", AT), time.monotonic()
    command = workspace.command("receive")
    process = start(command, EVENT_HUB_CONNECTION_STRING=f"{address};SharedAccessSignature={token}")
    error = error_of(process)
    assert "the SAS in the connection string is expired" in error
    assert "sig" not in error
    assert time.monotonic() - began < SECONDS_OF_RETRIES


def test_of_two_runs_the_earlier_one_is_told_and_no_reading_comes_twice(start, event_hubs, tmp_path):
    for partition in range(4):
        fill(event_hubs, partition * 1000, 1000, str(partition))
    workspace = Workspace(tmp_path / "live", AT)
    address = {"EVENT_HUB_CONNECTION_STRING": event_hubs.connection_string()}
    event_hubs.inject(Faults(slow_partitions=dict.fromkeys("0123", 3.0)))
    earlier = start(workspace.command("receive"), **address)
    wait_for(lambda: event_hubs.receivers() == 4)
    later = start(Workspace(tmp_path / "other", AT).command("receive"), **address)
    error = error_of(earlier)
    event_hubs.inject(Faults())
    end_well(later)
    assert "another consumer of the group '$Default' took it over, so this run stops" in error
    end_well(start(workspace.command("receive,ingest"), **address))
    assert sorted(values(workspace)) == [n + 0.5 for n in range(4000)]


def is_landing(method, path):
    return method == "PUT" and "/readings/" in path


def is_checkpoint(method, path):
    return method == "PUT" and "/checkpoint/" in path


@pytest.mark.azurite
def test_a_storage_in_trouble_loses_no_event_and_doubles_none(start, four_hubs, azurite):
    faults = {
        "full": Fault(507, FOREVER, is_landing),
        "throttled": Fault(503, FOREVER, is_checkpoint),
        "broken": Fault("reset", FOREVER, is_landing),
        "away": None,
    }
    said = {
        "full": r"/01_raw/readings/\S+: the storage is full \(507 InsufficientStorage\)",
        "throttled": r"Error: checkpoints abfs://\S+: the storage is throttled \(503 ServerBusy\)",
        "broken": r"/01_raw/readings/\S+: the connection to the storage broke",
        "away": r"abfs://\S+: the storage cannot be reached",
    }
    containers = {name: azurite.make_container() for name in faults}
    hubs = dict(zip(faults, four_hubs, strict=True))

    def run(name, port):
        workspace = Workspace(f"abfs://{containers[name]}/live", AT)
        return start(
            [*workspace.command("receive,ingest"), "--env", "azure"],
            EVENT_HUB_CONNECTION_STRING=hubs[name].connection_string(),
            AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string(port),
        )

    with ExitStack() as stack:
        proxies = {name: stack.enter_context(faulty_proxy(azurite.port)) for name in faults}
        for name, proxy in proxies.items():
            proxy.faults += [faults[name]] if faults[name] else []
        began = time.monotonic()
        running = {name: run(name, 9 if name == "away" else proxy.port) for name, proxy in proxies.items()}
        for name, process in running.items():
            assert re.search(said[name], error_of(process)), name
        assert time.monotonic() - began < MOST_SECONDS
    for process in [run(name, azurite.port) for name in faults]:
        end_well(process)
    for name in faults:
        assert blob_values(azurite, containers[name]) == EXPECTED


def blob_values(azurite, container):
    credentials = {"connection_string": azurite.connection_string()}
    folder = open_folder(f"abfs://{container}/live/02_intermediate/readings", credentials)
    return RowTable(folder, "timestamp").read()["value"].to_pylist()


@pytest.mark.azurite
def test_a_container_that_is_not_there_is_told_before_anything_is_received(
    start, event_hubs, azurite, tmp_path
):
    fill(event_hubs)
    workspace = Workspace("abfs://nowhere/live", AT)
    process = start(
        [*workspace.command("receive,ingest"), "--env", "azure"],
        EVENT_HUB_CONNECTION_STRING=event_hubs.connection_string(),
        AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string(),
    )
    assert "container 'nowhere'" in error_of(process)
