"""Text in blocks of any size gives the same numbered lines."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_scoring.ingestion.lines import read_lines

TEXT = st.text(st.sampled_from("aä€😀\n\r,"), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT, block_bytes=st.integers(1, 50), first_row=st.integers(1, 4))
def test_blocks_of_any_size_give_the_same_lines(text: str, block_bytes: int, first_row: int, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    expected = text.split("\n")
    found = [
        (row, line.removesuffix("\n"))
        for batch in read_lines(str(path), first_row, block_bytes)
        for row, line in zip(batch["row"].to_pylist(), batch["line"].to_pylist(), strict=True)
    ]
    last = len(expected) - (expected[-1] == "")
    assert found == [(n, line) for n, line in enumerate(expected[:last], 1) if n >= first_row]
