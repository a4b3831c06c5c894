"""List the accepted differences from published descriptions, each with its reason; all others are faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batch_scoring.deploy.template.swagger import body_of, described, faults

if TYPE_CHECKING:
    from batch_scoring.deploy.template.check import Checked, Report

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


def unknown_faults(report: Report, specs: Path) -> Iterator[str]:
    """Yield what is wrong with a template's resources by the published descriptions, where there is one.

    Parameters
    ----------
    report : Report
        Of a check.
    specs : Path
        The folder that ``AZURE_SPECS`` names.
    """
    for one in report.resources:
        if one.is_deployed:
            for fault in swagger_faults(one, specs) or ():
                yield f"{one.line}: {fault}"


def swagger_faults(one: Checked, specs: Path) -> list[str] | None:
    """List the faults of one resource; None without a description."""
    kind = one.body["type"]
    found = described(specs, kind, one.body["apiVersion"])
    if found is None:
        return None
    _, schema, file = found
    return [fault for fault in faults(body_of(one.body), schema, file) if not is_known(kind, fault)]
