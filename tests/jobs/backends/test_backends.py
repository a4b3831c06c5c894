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


@pytest.mark.parametrize("data", ["data", "s3://bucket/fleet", "gs://bucket/fleet"])
@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("azure_batch", {"endpoint": "https://a.westeurope.batch.azure.com", "image": "a.azurecr.io/b:1"}),
        (
            "container_apps",
            {"job_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/j", "image": "a/b:1"},
        ),
    ],
)
def test_services_of_azure_refuse_data_that_they_do_not_reach(engine, settings, data):
    jobs = read_parameters(JobsParameters, {"backend": engine, engine: settings}, "jobs")
    with pytest.raises(InputError, match=rf"^{data}: .* cannot reach .*nor a bucket; put the data in Blob"):
        open_backend(engine, data, None, jobs, Path())
