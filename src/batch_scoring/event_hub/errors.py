"""What the service says when something is wrong, as one sentence a person can act on; never with a secret."""

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
        """Whether trying again can help: a broken connection, a busy service, a token that is renewed."""
        return self in (Failure.BUSY, Failure.LOST) or (self is Failure.EXPIRED and not address.has_sas)


# What each is recognised by: texts of the service's conditions and descriptions, in the order to look.
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
    """Why an operation failed; ``LOST`` when the service said nothing that is known."""
    text = " ".join(_said(error)).lower()
    return next((failure for failure, signs in _SIGNS if any(sign in text for sign in signs)), Failure.LOST)


def sentence(error: BaseException, address: Address, doing: str) -> InputError:
    """The sentence for a failed operation.

    Parameters
    ----------
    error : exception
        Of azure-eventhub.
    address : Address
    doing : str
        What failed, such as ``"partition '3'"``.
    """
    failure = diagnose(error)
    if failure is Failure.NOT_FOUND:
        explained = _missing(address, doing)
    else:
        explained = _explain(failure, address, error)
    return InputError(f"{address}, {doing}: {explained}")


def _missing(address: Address, doing: str) -> str:
    if doing.startswith("partition"):  # the hub has listed its partitions
        return (
            f"there is no consumer group {address.group!r} in this hub; create it, or correct "
            "`consumer_group` of `event_hub` in the catalog"
        )
    return "there is no such hub in this namespace; create it, or correct its name"


def _explain(failure: Failure, address: Address, error: BaseException) -> str:
    if failure is Failure.EXPIRED and address.has_sas:
        return "the SAS in the connection string is expired; ask for a new one"
    return {
        Failure.STOLEN: (
            f"another consumer of the group {address.group!r} took it over, so this run stops; what it "
            "landed is kept: let one run at a time drain a group, or give each its own consumer group"
        ),
        Failure.BUSY: (
            "the service is throttling (server-busy) and did not recover; run again later, or buy more "
            "throughput units"
        ),
        Failure.EXPIRED: (
            "the service takes new tokens for expired; this machine's clock is behind the service's: set it"
        ),
        Failure.WRONG_KEY: (
            "the service refuses the key or token; copy the connection string of a policy with the "
            "right to listen (or, to publish, to send) again"
        ),
        Failure.UNAUTHORIZED: (
            "signing in worked, but the right is missing; grant the role 'Azure Event Hubs Data Receiver' "
            "(or, to publish, 'Data Sender')"
        ),
        Failure.QUOTA: (
            f"five receivers read the group {address.group!r} already, which is all the service allows; "
            "give this project a consumer group of its own"
        ),
        Failure.LOST: (
            f"the connection failed again and again ({type(error).__name__}); check the network and the "
            "host name, and run again: nothing is lost"
        ),
    }[failure]


def _said(error: BaseException | None) -> list[str]:
    """All that an error and its causes say."""
    texts, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        texts += [str(error), str(getattr(error, "condition", "")), str(getattr(error, "error", ""))]
        details = getattr(error, "details", None)
        if isinstance(details, BaseException):
            texts += _said(details)
        error = error.__cause__ or error.__context__
    return texts
