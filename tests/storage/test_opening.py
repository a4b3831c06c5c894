"""A place is a local path, or a URL of a kind we know; no folder is made of anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_file, open_folder, read_place


@pytest.mark.parametrize("open_it", [read_place, open_folder, open_file])
@pytest.mark.parametrize(
    "place",
    ["s3://x/y", "s3:/x/y", "gs://x", "file:///srv/fleet", "ABFS://x/y", "~no-such-user/x", "a\0b", "", "  "],
)
def test_what_is_no_path_and_no_url_of_ours_is_refused(open_it, place):
    with pytest.raises(
        InputError, match="is not valid; expected a local path or a URL of Blob Storage, such as"
    ):
        open_it(place)


@pytest.mark.parametrize("place", ["data", "./~x", "/srv/Süd 7", "a:b", "x/s3:/y", "abfs://fleet/data"])
def test_a_place_stays_as_it_is(place):
    assert read_place(place) == place


def test_a_tilde_is_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_place("~/fleet") == str(tmp_path / "fleet")
    assert open_folder("~/fleet").path() == str(tmp_path / "fleet")
    assert open_file(Path("~/fleet/labels.csv"))[0].path() == str(tmp_path / "fleet")
