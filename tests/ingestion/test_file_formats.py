"""What a file of text holds is told from its bytes, and from more of them than the first."""

import bz2
from pathlib import Path

import pyarrow as pa
import pytest

from batch_scoring.ingestion.file_formats import FORMATS, readable_form
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.text_bytes import compression

CSV = "time,device,sensor,value\n1,a,s,2\n"
LINES = '{"time": 1, "device": "a"}\n{"time": 2, "device": "a"}\n'


def zstandard(text: bytes) -> bytes:
    return pa.Codec("zstd").compress(text, asbytes=True)


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (bz2.compress(b"a", 1), ".bz2"),
        (bz2.compress(b"a", 9), ".bz2"),
        (bz2.compress(b""), ".bz2"),
        (zstandard(b"a"), ".zst"),
        (b"\x50\x2a\x4d\x18\x04\0\0\0size" + zstandard(b"a"), ".zst"),  # of pzstd
        (b"BZh,1", ""),
    ],
    ids=lambda part: part[:4],
)
def test_a_packed_file_is_known_however_it_was_packed(tmp_path: Path, content: bytes, ending: str):
    (tmp_path / "a.csv").write_bytes(content)
    assert compression(str(tmp_path / "a.csv")) == ending


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.txt", LINES, "json"),
        ("a.txt", '[\n {\n  "time": 1},\n {"time": 2}]', "json"),
        ("a.txt", '{"text": "' + 70_000 * "x" + '"}\n' + LINES, "json"),
        ("a.json", CSV, "csv"),
        ("a.jsonl", '"device": "a"}\n' + LINES, "json"),  # a log that was cut amid a line
        ("a.jsonl", 3_000 * "x" + '"}' + LINES, "json"),
        ("a.jsonl", "# of the site\n" + LINES, "json"),
        ("a.csv", '{"site": "north"}\n' + CSV, "csv"),
        ("a.csv", '{"site": "north"},1,a,s,2\n', "csv"),
        ("a.csv", '{"note"};time;device;sensor;value\n', "csv"),
    ],
    ids=lambda part: part[:9],
)
def test_a_file_of_text_is_read_by_what_most_of_it_is(tmp_path: Path, name: str, text: str, found: str):
    source = tmp_path / name
    source.write_text(text)
    form = readable_form(str(source), FORMATS[source.suffix], IngestSettings(), tmp_path)
    assert form[1] == found


def test_text_is_looked_at_in_its_encoding(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(LINES, "utf-16-be")
    settings = IngestSettings(encoding="utf-16-be")
    assert readable_form(str(tmp_path / "a.jsonl"), "json", settings, tmp_path)[1] == "json"
