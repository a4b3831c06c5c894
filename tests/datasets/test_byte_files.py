from batch_scoring.datasets.byte_files import PngFolder


def test_a_folder_holds_the_drawings_it_was_given_last_and_keeps_other_files(tmp_path):
    folder = PngFolder(str(tmp_path / "drawings"))
    assert folder.load() == {}
    folder.save({"a.png": b"1", "b.png": b"2"})
    (tmp_path / "drawings/notes.md").write_text("mine")
    folder.save({"b.png": b"3"})
    assert folder.load() == {"b.png": b"3"}
    assert sorted(path.name for path in (tmp_path / "drawings").iterdir()) == ["b.png", "notes.md"]
