import pytest
from kedro.io import DatasetError

from batch_scoring.datasets.byte_files import JudgedSensors, PngFolder


def test_a_folder_holds_the_drawings_it_was_given_last_and_keeps_other_files(tmp_path):
    folder = PngFolder(str(tmp_path / "drawings"))
    assert folder.load() == {}
    folder.save({"a.png": b"1", "b.png": b"2"})
    (tmp_path / "drawings/notes.md").write_text("mine")
    folder.save({"b.png": b"3"})
    assert folder.load() == {"b.png": b"3"}
    assert sorted(path.name for path in (tmp_path / "drawings").iterdir()) == ["b.png", "notes.md"]


def test_the_files_of_a_run_are_replaced_and_others_stay(tmp_path):
    JudgedSensors(str(tmp_path)).save({"a.judged": b"1", "b.judged": b"2"})
    JudgedSensors(str(tmp_path)).save({"b.judged": b"3"})
    assert JudgedSensors(str(tmp_path)).load() == {"a.judged": b"1", "b.judged": b"3"}


def test_a_run_without_files_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=str(tmp_path)):
        JudgedSensors(str(tmp_path)).load()


def test_without_a_run_they_stay_in_memory_until_they_are_released():
    judged = JudgedSensors()
    judged.save({"a.judged": b"1", "b.judged": b"2"})
    judged.save({"b.judged": b"3"})
    assert judged.load() == {"a.judged": b"1", "b.judged": b"3"}
    judged.release()
    assert judged.load() == {}
