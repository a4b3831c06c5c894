"""Translate errors of S3 and Google Cloud Storage into one actionable sentence without secrets."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PreconditionError,
)

from batch_scoring.core.errors import InputError
from batch_scoring.core.redaction import without_secrets
from batch_scoring.storage import bucket_service
from batch_scoring.storage.location import Location
from batch_scoring.storage.remote import RUN_AGAIN, ChangedMeanwhileError

Result = TypeVar("Result")

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_PATH = re.compile(r'[Pp]ath:? "([^"]*)"')
_REGION = re.compile(r"expecting '([\w-]+)'|<Region>([\w-]+)</Region>")
_ELSEWHERE = (
    "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Redirect",
)  # fmt: skip
# S3 does not decide on a condition while another write of the object is under way.
_UNDER_WAY = "ConditionalRequestConflict"
# The client's sentence stands before its details.
_DETAILS, _LONGEST_REASON = "\n", 300
_WHO = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
}
_RIGHTS = {
    "s3": "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket",
    "gs": "the role 'Storage Object Admin'",
}


def repeated(send: Callable[[], Result]) -> Result:
    """Send a request again whose answer was not heard, or that met another one of the same object.

    The client repeats what changes nothing, and what was refused for a time. A write has a condition: if
    it arrived the first time, the second is refused, and the stored bytes are compared.
    """
    for turn in range(bucket_service.RETRIES):
        try:
            return send()
        except BaseError as error:
            if not (_is_unanswered(str(error)) or _UNDER_WAY in str(error)):
                raise
        time.sleep(bucket_service.FIRST_WAIT_SECONDS * 2**turn)
    return send()


def is_refused(error: Exception) -> bool:
    """Whether the service answered that it will not; none of it is worth a repetition."""
    found = _STATUS.search(str(error))
    return found is not None and found[1] in ("400", "401", "403")


@contextmanager
def clear_errors(where: str, location: Location) -> Iterator[None]:
    """Replace the client's errors by ones that a user can act on.

    Raises
    ------
    FileNotFoundError
        When the file does not exist.
    ChangedMeanwhileError
        When a condition on its version did not hold.
    InputError
        Otherwise. The client's error, a screen of text, is not chained.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise ChangedMeanwhileError(where) from None
    except (BaseError, FileNotFoundError) as error:
        raise _translated(error, where, location) from None


def _translated(error: Exception, where: str, location: Location) -> Exception:
    text, scheme = str(error), location.scheme
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    code = found[1] if (found := _CODE.search(text)) else ""
    if code == "NoSuchBucket":
        return InputError(
            f"{where}: bucket {location.container!r} does not exist; create it, or set another one in `data`"
        )
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(where)
    if isinstance(error, InvalidPathError):
        named = found[1] if (found := _PATH.search(text)) else "an object"
        return InputError(f"{where}: {named!r} is not valid; expected a name without '//', '.' or '..' in it")
    if code in _ELSEWHERE or status in (301, 307) or "without LOCATION" in text:
        region = next((one for one in found.groups() if one), "") if (found := _REGION.search(text)) else ""
        there = f"region {region!r}" if region else "another region"
        return InputError(f"{where}: the bucket is in {there}; set AWS_REGION to it")
    return InputError(f"{where}: {_said(text, status, code, scheme)}")


def _said(text: str, status: int | None, code: str, scheme: str) -> str:
    named = f"{status} {code}".strip()
    if _asks_who(text):
        return f"not signed in; {_WHO[scheme]}"
    if code in ("ExpiredToken", "TokenRefreshRequired"):
        return f"the sign-in has expired ({code}); sign in again"
    if code == "RequestTimeTooSkewed":
        return "access is refused because this machine's clock is wrong; set the clock"
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"):
        return f"the key is refused ({code}); {_WHO[scheme]}"
    if status in (401, 403):
        return f"access is refused ({named}); this identity needs {_RIGHTS[scheme]} on the bucket"
    if status in (429, 503):
        return f"the storage is throttled ({named}) after all retries; {RUN_AGAIN}"
    if status == 507:
        return f"the storage is full ({named}); make room or raise its quota; {RUN_AGAIN}"
    if status is not None and status >= 500:
        return f"the storage fails ({named}) after all retries; {RUN_AGAIN}"
    if status is not None:
        return f"the storage refuses this request ({named}); look up the error code in its documentation"
    if "kind: Connect," in text:
        return "the storage cannot be reached; check the endpoint, the region and this machine's network"
    if "HTTP error" in text:
        return f"the connection to the storage broke in all retries; {RUN_AGAIN}"
    return f"its client says: {without_secrets(text.partition(_DETAILS)[0].strip())[:_LONGEST_REASON]}"


def _asks_who(text: str) -> bool:
    """Whether nobody was found to sign in as: the last resort is the identity of a machine in the cloud."""
    return "169.254.169.254" in text or "metadata.google.internal" in text or "token request" in text


def _is_unanswered(text: str) -> bool:
    """Whether the client neither heard an answer nor repeated the request itself."""
    return (
        "HTTP error" in text and _STATUS.search(text) is None and "max_retries" not in text.partition("\n")[0]
    )
