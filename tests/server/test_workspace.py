"""The newest version of a table, and results that are made once for it."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.row_tables import readings
from tests.server.sites import site_of

pytestmark = pytest.mark.slow


@pytest.fixture
def site():
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0] * 40))) as made:
        yield made


def test_a_commit_is_seen_and_changes_the_version(site):
    workspace = site.workspace()
    before = workspace.version()
    assert workspace.version() == before
    site.write("readings", _readings())
    (runs, people), after = before.split("-"), workspace.version().split("-")
    assert (after[0] == runs, after[1] == people) == (False, True)
    assert workspace.table("readings").num_rows == 1


def test_a_table_made_anew_in_its_place_is_seen(site):
    workspace = site.workspace()
    site.write("readings", _readings())
    first = workspace.table("readings").id
    shutil.rmtree(site.tables["readings"].folder.path())
    site.write("readings", _readings())
    assert workspace.table("readings").id not in ("", first)


def test_many_that_ask_at_once_wait_for_one_result(site):
    workspace, made = site.workspace(), []

    def make():
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: workspace.kept(make, ("predictions",), "x"), range(40)))
    assert set(found) == {1}
    site.write("predictions", prediction_rows("b", "flow", [1.0]))
    assert workspace.kept(make, ("predictions",), "x") == 2
    assert workspace.kept(make, ("predictions",), "y") == 3


def test_the_result_of_a_former_version_is_not_kept(site):
    workspace = site.workspace()
    for number in range(5):
        site.write("readings", readings((number, "a", "flow", 1.0)))
        assert workspace.kept(lambda number=number: number, ("readings",), "totals") == number
    assert [value for _, value in workspace._kept.values()] == [4]


def test_only_a_bounded_number_of_results_is_kept(site):
    workspace = site.workspace()
    for number in range(200):
        workspace.kept(lambda number=number: number, (), number)
    assert len(workspace._kept) <= 64


def test_a_result_that_failed_is_made_again(site):
    workspace, tries = site.workspace(), []

    def make():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("away")
        return 7

    with pytest.raises(OSError, match="away"):
        workspace.kept(make, ())
    assert workspace.kept(make, ()) == 7


def _readings():
    return readings((0, "a", "flow", 1.0))
