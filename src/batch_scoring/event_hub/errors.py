"""Translate errors of Event Hubs into one actionable sentence without secrets."""

from __future__ import annotations

from enum import Enum

from batch_scoring.core.errors import InputError
from batch_scoring.event_hub.address import Address


class Failure(Enum):
    """Why an operation on an event hub failed."""

    STOLEN = "stolen"
    BUSY = "busy"
    NOT_FOUND = "not found"
    WRONG_KEY = "wrong key"
    EXPIRED = "expired"
    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    LOST = "lost"

    def may_pass(self, address: Address) -> bool:
        """Whether a retry can help: broken connection, busy service, renewable token."""
        return self in (Failure.BUSY, Failure.LOST) or (self is Failure.EXPIRED and not address.has_sas)


# Texts in the service's conditions and descriptions that identify each failure, by precedence.
_SIGNS = (
    (Failure.STOLEN, ("link:stolen", "receiver with higher epoch", "with epoch")),
    (Failure.BUSY, ("server-busy", "throttled")),
    (Failure.EXPIRED, ("expiredtoken", "token is expired", "cbs authentication expired")),
    (Failure.WRONG_KEY, ("invalidsignature", "invalidtoken", "malformedtoken", "status-code: 401")),
    (Failure.NOT_FOUND, ("not-found", "could not be found")),
    (Failure.QUOTA, ("resource-limit-exceeded", "quota")),
    (Failure.UNAUTHORIZED, ("unauthorized", "status code: 401", "claim(s) are required")),
)


def diagnose(error: BaseException) -> Failure:
    """Classify a failure; ``LOST`` if the service's error is not recognised."""
    text = " ".join(_texts(error)).lower()
    return next((failure for failure, signs in _SIGNS if any(sign in text for sign in signs)), Failure.LOST)


def sentence(error: BaseException, address: Address, doing: str) -> InputError:
    """Build the error for a failed operation.

    Parameters
    ----------
    error : exception
        An error of azure-eventhub.
    address : Address
    doing : str
        The operation, such as ``"partition '3'"``.
    """
    return InputError(f"{address}, {doing}: {_explain(diagnose(error), address, error, doing)}")


def _explain(failure: Failure, address: Address, error: BaseException, doing: str) -> str:
    if failure is Failure.EXPIRED and address.has_sas:
        return "the SAS in the connection string is expired; request a new one"
    if failure is Failure.NOT_FOUND and doing.startswith("partition"):  # the hub has listed its partitions
        return (
            f"consumer group {address.group!r} does not exist in this hub; create it, or correct "
            "`consumer_group` of `event_hub` in the catalog"
        )
    return {
        Failure.NOT_FOUND: "this hub does not exist in its namespace; create it, or correct its name",
        Failure.STOLEN: (
            f"another consumer of the group {address.group!r} took it over, so this run stops; events it "
            "landed are kept: drain a group with one run at a time, or use separate consumer groups"
        ),
        Failure.BUSY: (
            "the service is throttling (server-busy) and did not recover; run again later, or buy more "
            "throughput units"
        ),
        Failure.EXPIRED: (
            "the service rejects new tokens as expired; this machine's clock is behind the service's: set it"
        ),
        Failure.WRONG_KEY: (
            "the service refuses the key or token; copy the connection string again, of a policy with the "
            "right to listen (or, to publish, to send)"
        ),
        Failure.UNAUTHORIZED: (
            "the sign-in worked, but a role is missing; grant the role 'Azure Event Hubs Data Receiver' "
            "(or, to publish, 'Data Sender')"
        ),
        Failure.QUOTA: (
            f"five receivers read the group {address.group!r} already, which is all the service allows; "
            "give this project a consumer group of its own"
        ),
        Failure.LOST: (
            f"the connection failed in all retries ({type(error).__name__}); check the network and the "
            "host name, and run again: nothing is lost"
        ),
    }[failure]


def _texts(error: BaseException | None) -> list[str]:
    """Collect the texts of an error and its causes."""
    texts, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        texts += [str(error), str(getattr(error, "condition", "")), str(getattr(error, "error", ""))]
        details = getattr(error, "details", None)
        if isinstance(details, BaseException):
            texts += _texts(details)
        error = error.__cause__ or error.__context__
    return texts
