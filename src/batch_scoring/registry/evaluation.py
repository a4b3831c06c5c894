"""The result of one `evaluate`, which `tracking` logs to MLflow."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrackedEvaluation:
    """One evaluation, ready to be logged as a run.

    Attributes
    ----------
    fingerprint : str
        Digest of the whole content. The same fingerprint is the same run.
    metrics : dict of str to float
        By the names that MLflow shows.
    files : dict of str to bytes
        Artifacts by name.
    versions : dict of (str, str) to dict of str to float
        Metrics by sensor and version.
    """

    fingerprint: str
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
