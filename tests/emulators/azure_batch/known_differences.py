"""Where the description at hand (2024-02-01.19.0) and what the SDK speaks (2025-06-01) differ, explained.

Both are additive: what is not named here must be as it is described.
"""

from __future__ import annotations

from tests.emulators.oav import Violation

DESCRIPTION = "batch/data-plane/Microsoft.Batch/stable/2024-02-01.19.0/*.json"
DESCRIBED_VERSION = "2024-02-01.19.0"
MANAGEMENT_DESCRIPTION = "batch/resource-manager/Microsoft.Batch/stable/2024-02-01/BatchManagement.json"
DESCRIBED_MANAGEMENT_VERSION = "2024-02-01"
HOST = "account.region.batch.azure.com"

# (operation, side, code, ending of the path, why). Empty: no call of ours meets a difference.
DIFFERENCES: tuple[tuple[str, str, str, str, str], ...] = ()


def is_known(violation: Violation) -> bool:
    """Whether a violation is one of the differences."""
    return any(
        (violation.operation, violation.side, violation.code) == (operation, side, code)
        and all(path.endswith(ending) for path in violation.paths)
        for operation, side, code, ending, _ in DIFFERENCES
    )
