import pytest

from batch_scoring.cloud import retry
from tests.jobs.backends.batch_ai.stand_in import StandIn


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes the stand-in; retries wait for hardly a moment."""
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.01)
    made = []

    def start(**more):
        made.append(StandIn(tmp_path / f"stand-in-{len(made)}", **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def stand_in(make):
    return make()
