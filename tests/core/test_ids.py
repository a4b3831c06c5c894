"""Ids are texts: in a path, in a selection, and when somebody mistypes one."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import (
    MAX_SEGMENT_BYTES,
    Selection,
    file_name,
    fits_in_path,
    from_path_segment,
    id_of_file,
    path_segment,
    require_known,
)


@given(st.text(min_size=1))
def test_an_id_becomes_one_harmless_path_segment_and_comes_back(identifier):
    segment = path_segment(identifier)
    assert "/" not in segment
    assert not segment.startswith((".", "_"))
    assert from_path_segment(segment) == identifier


@given(st.text(), st.text())
def test_two_ids_have_two_segments(one, other):
    assert (path_segment(one) == path_segment(other)) == (one == other)


RESERVED = ["con", "PRN", "aux", "Nul", "com1", "LPT9"]
HOSTILE = st.one_of(
    st.text(min_size=1, max_size=60),
    st.text("aAbBéÉ.:~+%_ \\/\0\n", min_size=1, max_size=12),
    st.builds("{}{}".format, st.sampled_from(RESERVED), st.sampled_from(["", ".txt", ".tar.gz", ".", " "])),
)


@given(HOSTILE)
def test_every_id_names_a_file_on_every_system_and_comes_back(identifier):
    name = file_name(identifier)
    assert re.fullmatch(r"[A-Za-z0-9%+~-][A-Za-z0-9%+~._-]*", name)
    assert not name.endswith(".")
    assert name.partition(".")[0].upper() not in map(str.upper, RESERVED)
    assert unicodedata.normalize("NFD", name) == name
    assert id_of_file(name) == identifier
    assert id_of_file(path_segment(identifier)) == identifier  # as earlier versions named it


@given(st.data(), HOSTILE, st.booleans())
def test_no_two_ids_share_a_file_where_case_does_not_count(data, one, is_variant):
    flips = data.draw(st.lists(st.booleans(), min_size=len(one), max_size=len(one)))
    variant = "".join(letter.swapcase() if flip else letter for letter, flip in zip(one, flips, strict=True))
    other = variant if is_variant else data.draw(HOSTILE)
    assert (file_name(one).casefold() == file_name(other).casefold()) == (one == other)


@given(st.text("aBcDeF", min_size=65, max_size=MAX_SEGMENT_BYTES))
def test_the_name_of_a_long_id_has_room_for_suffixes(identifier):
    name = file_name(identifier)
    assert len(f".{name}.judged.partial".encode()) <= 255
    assert id_of_file(name) == identifier
    assert file_name(identifier.swapcase()).casefold() != name.casefold()


@pytest.mark.parametrize("everything", [None, "all"])
def test_nothing_asked_for_is_everything(everything):
    selection = Selection.read(everything, everything)
    assert selection == Selection()
    assert selection.has_device("x")
    assert selection.has_sensor("x")


def test_numbers_are_read_as_their_text_and_lists_as_all_of_theirs():
    selection = Selection.read([7, "007", "7.0"], "s")
    assert selection.devices == {"7", "007", "7.0"}
    assert selection.has_device("007")
    assert not selection.has_device("07")
    assert not selection.has_sensor("t")


@pytest.mark.parametrize(
    ("value", "says"), [([], "the list is empty"), (True, "not a valid id"), ([{}], "not a valid id")]
)
def test_what_is_no_id_is_refused(value, says):
    with pytest.raises(InputError, match=says):
        Selection.read(value, None)


def test_a_shard_is_read_and_written_alike():
    assert str(Selection.read(None, None, "2/8").shard) == "2/8"
    assert Selection.read(None, None, "1/1").shard == (1, 1)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "", "1/0", 2, 0.5, "-1/2"])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(InputError, match="such as 2/8"):
        Selection.read(None, None, shard)


@pytest.mark.parametrize(
    ("wanted", "known", "says"),
    [
        ("7", ["007", "7.0", "8"], "did you mean '007', '7.0'?"),
        ("pump-7", ["pump-07", "fan-1"], "did you mean 'pump-07'?"),
        ("pump-2", ["pump-02", "pump-42", "pump-32", "pump-12"], "did you mean 'pump-02'?"),
        ("line-01/pump-2", ["line-1/pump-02", "line-1/pump-20"], "did you mean 'line-1/pump-02'?"),
        ("x", ["pump-07", "fan-1"], "expected one such as 'fan-1', 'pump-07'"),
        ("x", [], "none exists yet"),
    ],
)
def test_an_unknown_id_is_an_error_that_suggests_near_ones(wanted, known, says):
    with pytest.raises(InputError) as error:
        require_known("device", [wanted], known)
    assert f"device {wanted!r} is not among the {len(known)} known; {says}" in str(error.value)


def test_known_ids_and_no_wish_at_all_are_fine():
    require_known("device", ["a"], ["a", "b"])
    require_known("device", None, [])


@pytest.mark.parametrize("text", ["a", "ü", ".", "/", "№"])
def test_an_id_fits_as_long_as_its_path_segment_does(text):
    for n in range(1, 2 * MAX_SEGMENT_BYTES):
        assert fits_in_path(n * text) == (len(path_segment(n * text)) <= MAX_SEGMENT_BYTES)
