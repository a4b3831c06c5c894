"""The error that the service answers with."""

from __future__ import annotations

from typing import Any


class BatchError(Exception):
    """An answer that is none: status, the service's code, and values that explain it."""

    def __init__(self, status: int, code: str, message: str = "", **values: str) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.values = status, code, message or code, values

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {"code": self.code, "message": {"lang": "en-US", "value": self.message}}
        if self.values:
            found["values"] = [{"key": key, "value": value} for key, value in self.values.items()]
        return found


def missing(what: str) -> BatchError:
    return BatchError(404, f"{what}NotFound", f"The specified {what.lower()} does not exist.")


def conflict(code: str, message: str = "") -> BatchError:
    return BatchError(409, code, message)
