from concurrent.futures import ThreadPoolExecutor

import pytest

from batch_scoring.storage.known_versions import KnownVersions

pytestmark = pytest.mark.slow


def test_a_listing_says_what_exists_below_its_prefix_and_of_its_suffix_only():
    known = KnownVersions()
    for name in ("a/1.json", "a/1.parquet", "b/1.parquet"):
        known.see(name, "1")
    known.see_all("a/", {"a/2.parquet": "2"}, ".parquet")
    names = ("a/1.json", "a/1.parquet", "a/2.parquet", "b/1.parquet")
    assert [known.version(name) for name in names] == ["1", None, "2", "1"]
    assert [known.knows(name) for name in ("a/3.parquet", "a/3.json", "c")] == [True, False, False]
    known.see_all("", {})
    assert known.knows("c")


def test_threads_share_what_they_have_seen():
    known = KnownVersions()

    def look(worker: int) -> None:
        folder = f"table-{worker}/"
        for number in range(300):
            known.see(f"{folder}{number}.json", str(number))
            known.see_all(f"{folder}log/", {f"{folder}log/{number}.parquet": str(number)}, ".parquet")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))
    for worker in range(8):
        assert [known.version(f"table-{worker}/{number}.json") for number in range(300)] == list(
            map(str, range(300))
        )
        assert known.version(f"table-{worker}/log/299.parquet") == "299"
        assert known.version(f"table-{worker}/log/298.parquet") is None
        assert known.knows(f"table-{worker}/log/298.parquet")
