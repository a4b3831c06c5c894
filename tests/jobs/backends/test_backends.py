"""Opening an engine by its name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends import open_backend


def test_an_engine_that_does_not_exist_opens_none():
    with pytest.raises(InputError, match=r"jobs\.backend.*'kubernetes'"):
        open_backend("data", None, SimpleNamespace(backend="kubernetes"), Path())
