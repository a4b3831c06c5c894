"""Each line of the table of habits has a test that there is."""

import re

from tests.doc_pages import PROJECT, read_page

_LINK = re.compile(r"\[`(test_\w+)`\]\(\.\./\.\./(tests/[\w/]+\.py)\)")


def test_every_habit_has_its_test():
    rows = [
        line
        for line in read_page("reference/habits.md").splitlines()
        if re.match(r"\| (?!.*\| test \|$)", line)
    ]
    assert len(rows) >= 30
    missing = []
    for row in rows:
        found = _LINK.findall(row.rpartition(" | ")[2])
        tests = [
            name for name, file in found if f"\ndef {name}(" in (PROJECT / file).read_text(encoding="utf-8")
        ]
        if len(found) != 1 or len(tests) != 1:
            missing.append(row)
    assert missing == []
    assert len({row.partition(" | ")[0] for row in rows}) == len(rows)
