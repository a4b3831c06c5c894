"""Opening an engine by its name."""

from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.jobs.backends import open_backend
from batch_scoring.jobs.settings import JobsParameters


def test_an_engine_that_does_not_exist_opens_none():
    with pytest.raises(InputError, match=r"jobs\.backend.*'kubernetes'"):
        open_backend("kubernetes", "data", None, JobsParameters(), Path())


def test_a_misspelt_engine_gets_a_suggestion():
    with pytest.raises(InputError, match=r"jobs\.backend: 'dsk' is not valid; .*did you mean 'dask'\?"):
        read_parameters(JobsParameters, {"backend": "dsk"}, "jobs")
