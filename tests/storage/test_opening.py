"""A place is a local path, or a URL of a kind we know; no folder is made of anything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_file, open_folder, read_place


@pytest.mark.parametrize("open_it", [read_place, open_folder, open_file])
@pytest.mark.parametrize(
    "place",
    ["s3:/x/y", "s3a://x/y", "file:///srv/fleet", "ABFS://x/y", "~no-such-user/x", "a\0b", "", "  "],
)
def test_what_is_no_path_and_no_url_of_ours_is_refused(open_it, place):
    said = (
        "is not valid; expected a local path, or a URL of Blob Storage, S3 or Google Cloud Storage, such as"
    )
    with pytest.raises(InputError, match=said):
        open_it(place)


@pytest.mark.parametrize(
    "place", ["data", "./~x", "/srv/Süd 7", "a:b", "x/s3:/y", "abfs://fleet/data", "s3://b/x", "gs://b"]
)
def test_a_place_stays_as_it_is(place):
    assert read_place(place) == place


def test_a_tilde_is_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_place("~/fleet") == str(tmp_path / "fleet")
    assert open_folder("~/fleet").path() == str(tmp_path / "fleet")
    assert open_file(Path("~/fleet/labels.csv"))[0].path() == str(tmp_path / "fleet")


@pytest.mark.parametrize("url", ["s3://", "gs:///path", "s3://me@bucket/x", "s3://bucket?sig=1"])
def test_a_bucket_without_a_name_is_refused(url):
    with pytest.raises(InputError, match=r"bucket '.*' is not valid; expected (s3|gs)://bucket/path"):
        open_folder(url)


def test_credentials_of_a_bucket_are_those_of_the_environment():
    with pytest.raises(InputError, match="leave `credentials` out") as error:
        open_folder("s3://bucket/x", {"key": "nobody-may-see-this"})
    assert "nobody" not in str(error.value)


@pytest.mark.parametrize(("url", "extra"), [("s3://bucket/x", "s3"), ("gs://bucket/x", "gcs")])
def test_a_client_that_is_missing_is_named_with_its_extra(monkeypatch, url, extra):
    monkeypatch.setitem(sys.modules, "batch_scoring.storage.bucket", None)
    with pytest.raises(InputError, match=rf"is not installed; pip install 'batch_scoring\[{extra}\]'"):
        open_folder(url)


def test_an_object_is_named_in_a_url_as_it_is():
    folder = open_folder("gs://bucket/a%20b/").below("c d#1")
    assert folder.path("x/y") == "gs://bucket/a%20b/c d#1/x/y"
    assert folder.delta_address()[0] == "gs://bucket/a%2520b/c%20d%231"
