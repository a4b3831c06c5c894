"""List the accepted differences from published descriptions, each with its reason; all others are faults."""

from __future__ import annotations

import re

# Type of resource, the fault, and why it is accepted.
KNOWN_DIFFERENCES = (
    (
        "Microsoft.Logic/workflows",
        r"identity: it is unknown",
        "The template reference says that version 2019-05-01 added `identity`, its Swagger file forgot it.",
    ),
    (
        "Microsoft.Logic/workflows",
        r"properties\.parameters\.\w+\.value: it is no object",
        "A parameter's value is of the type that the definition says; the Swagger file has one word, object, "
        "for any value.",
    ),
)


def is_known(kind: str, fault: str) -> bool:
    """Return whether a fault of a type of resource is accepted, for a reason given above."""
    return any(kind == one and re.fullmatch(pattern, fault) for one, pattern, _ in KNOWN_DIFFERENCES)
