"""Settings and fixtures of the whole suite."""

import gc
from collections.abc import Generator
from pathlib import PurePath

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.blob_storage import azurite, container, proxy  # noqa: F401
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
    """Add the option that says how often races and random kills are tried."""
    parser.addoption("--trials", type=int, default=2, help="repetitions of races and kills (default 2)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test that has an argument ``trial`` as often as ``--trials`` says."""
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", range(metafunc.config.getoption("trials")))


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> int:
    """Return how often a test repeats a race, a kill or a fault."""
    return request.config.getoption("trials")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking, again and again, at the modules that collecting imports.

    Nor need it look as often as by default: a test ends, and its memory with it.
    """
    gc.disable()
    try:
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
    if coverage is None or not _rooms(coverage).isdisjoint(folders):
        return (yield)
    coverage.stop()
    try:
        return (yield)
    finally:
        coverage.start()


def _rooms(coverage: Coverage) -> set[str]:
    return {PurePath(pattern).parent.name for pattern in coverage.get_option("report:include") or ()}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what works on a real MLflow store as slow: each step of it takes tenths of a second.

    Of several workers, none ends long after the others when what is slow comes first, and before it the
    groups, each of which one worker runs alone; first of all those that wait for the image.
    """
    for item in items:
        if "new_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        first = ("containers", "xdist_group", "slow")
        items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in first])
