"""What of the sources is collected for doctests."""

from pathlib import Path

SOURCE = Path(__file__).parent / "src"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Skip modules without an example: importing MLflow, pandas and Azure's clients takes seconds."""
    is_module = collection_path.suffix == ".py" and SOURCE in collection_path.parents
    return True if is_module and ">>>" not in collection_path.read_text(encoding="utf-8") else None
