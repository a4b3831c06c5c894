"""Settings and fixtures of the whole suite."""

import gc
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import PurePath

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.blob_storage import azurite, container, proxy  # noqa: F401
from tests.bucket_storage import bucket_services, new_bucket, remote, remote_proxy  # noqa: F401
from tests.emulators.event_hubs.process import event_hubs  # noqa: F401
from tests.end_to_end.workspaces import new_workspace, scored, small_fleet, trained, whole  # noqa: F401
from tests.mlflow_stores import new_database, no_tracking_uri, open_dataset, store  # noqa: F401

# `pytest --hypothesis-profile=long` tries more, `make test-quick` fewer. Machines are noisy: an example may
# be slow without anything being wrong.
for profile, examples in (("quick", 5), ("ci", 25), ("long", 200)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say how often races and kills are tried, and whether tests may take minutes."""
    parser.addoption("--trials", type=int, default=1, help="repetitions of races and kills (default 1)")
    parser.addoption("--long", action="store_true", help="run the tests that are marked long, too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test that has an argument ``trial`` as often as ``--trials`` says."""
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", range(metafunc.config.getoption("trials")))


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> int:
    """Return how often a test repeats a race, a kill or a fault."""
    return request.config.getoption("trials")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector from looking, again and again, at the modules that collecting imports.

    Nor need it look as often as by default: a test ends, and its memory with it. That all workers import the
    same modules is measured in one: with coverage, collecting takes nearly twice the processor time.
    """
    worker = getattr(session.config, "workerinput", {"workerid": "gw0"})["workerid"]
    gc.disable()
    try:
        with nullcontext() if worker == "gw0" else _unmeasured():
            return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure coverage by tests of the rooms whose coverage is reported: it may double the time of a test."""
    coverage = Coverage.current()
    folders = item.path.relative_to(item.config.rootpath).parts
    is_measured = coverage is None or not _rooms(coverage).isdisjoint(folders)
    with nullcontext() if is_measured else _unmeasured():
        return (yield)


@contextmanager
def _unmeasured() -> Iterator[None]:
    """Stop every measurement: in a worker pytest-cov starts two, and stopping one resumes the other."""
    stopped = []
    while (coverage := Coverage.current()) is not None:
        coverage.stop()
        stopped.append(coverage)
    try:
        yield
    finally:
        for coverage in reversed(stopped):
            coverage.start()


def _rooms(coverage: Coverage) -> set[str]:
    return {PurePath(pattern).parent.name for pattern in coverage.get_option("report:include") or ()}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow, keep together what shares a fixture, and put first what takes long.

    What works on a real MLflow store is slow: each step of it takes tenths of a second. Tests that share a
    fixture of their module are a group, which one worker runs: others would make the fixture anew. What
    :func:`made_once` makes is there for all workers; fixtures of it have the scope of the session.
    """
    left_out = [item for item in items if not _has_its_programs(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if not config.getoption("long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        if "new_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group") is None and _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


# The image, for which other groups wait, and groups that mostly wait themselves.
_FIRST = ("image", "live_errors", "dask", "planner")
_LONG = {"end_to_end", "faults"}


def _place(item: pytest.Item) -> int:
    """Where a test stands, if no worker is to end long after the others or to wait for another one.

    The long ones come before the other groups: some of these want the image, which is there by then.
    """
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args[0] in _FIRST:
        return _FIRST.index(group.args[0])
    if item.get_closest_marker("slow") is None:
        return 7
    if not _LONG.isdisjoint(item.path.relative_to(item.config.rootpath).parts):
        return 4
    return 6 if group is None else 5


def _has_its_programs(item: pytest.Item) -> bool:
    wants = item.get_closest_marker("wants")
    return wants is None or None not in map(shutil.which, wants.args)


def _shares_a_fixture(item: pytest.Item) -> bool:
    found = getattr(item, "_fixtureinfo", None)
    definitions = found.name2fixturedefs.values() if found is not None else ()
    return any(one[-1].scope == "module" and "_pytest" not in one[-1].func.__module__ for one in definitions)
