"""What people did about incidents, and the state of each incident that follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.tables.arrow_arrays import are, as_rows, from_rows, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import (
    ACCEPTED,
    FALSE_ALARM,
    INCIDENT_ACTIONS,
    TIMESTAMP,
    TRUE_EVENT,
)

ACKNOWLEDGE, UNACKNOWLEDGE, COMMENT, VERDICT = ACTIONS = (
    "acknowledge",
    "unacknowledge",
    "comment",
    "verdict",
)
OPEN, ACKNOWLEDGED, CLOSED = STATES = ("open", "acknowledged", "closed")
VERDICTS = (TRUE_EVENT, FALSE_ALARM, ACCEPTED)
# With one of these nobody has to look at the incident any more.
_SETTLED = (FALSE_ALARM, ACCEPTED)
# These are about what the person saw; a level that is accepted stays, and is unusual until a training.
_OF_WHAT_WAS_SEEN = (TRUE_EVENT, FALSE_ALARM)
LONGEST_NAME, LONGEST_TEXT = 200, 10_000

_NO_VERDICT = dict.fromkeys(("verdict", "verdict_by", "verdict_at"))
HANDLED = pa.schema(
    [
        ("incident_id", pa.string()),
        ("state", pa.string()),
        ("acknowledged_by", pa.string()),
        ("acknowledged_at", TIMESTAMP),
        ("verdict", pa.string()),
        ("verdict_by", pa.string()),
        ("verdict_at", TIMESTAMP),
        ("n_comments", pa.int64()),
    ]
)


def act(
    incident: Mapping[str, Any],
    action: str,
    who: str,
    at: datetime,
    verdict: str | None = None,
    text: str | None = None,
) -> pa.Table:
    """Make the row of an action, to be appended to the table.

    Parameters
    ----------
    incident : mapping
        A row of DEVICE_INCIDENTS, as the person saw it.
    action : str
        One of ACTIONS.
    who : str
        Who acts.
    at : datetime
        When, UTC.
    verdict : str, optional
        Of a verdict one of VERDICTS; None takes the verdict back.
    text : str, optional
        What the person wrote; a comment has one.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENT_ACTIONS, one row.

    Raises
    ------
    InputError
        On an unknown action or verdict, a verdict of another action, a comment without a text, or a text or
        name that is empty or too long.

    Examples
    --------
    >>> from datetime import UTC
    >>> pump = {"incident_id": "06d1", "kind": "anomaly", "devices": ["pump-1"], "sensors": ["flow"]}
    >>> row = act(pump, "acknowledge", "ada", datetime(2026, 1, 5, 10, tzinfo=UTC))
    >>> row["who"].to_pylist(), row["devices"].to_pylist()
    (['ada'], [['pump-1']])
    """
    text = (text or "").strip() or None
    name = incident["incident_id"]
    if action not in ACTIONS:
        raise InputError(f"incident {name}: action {action!r} is not valid; expected {', '.join(ACTIONS)}")
    if verdict is not None and (action != VERDICT or verdict not in VERDICTS):
        expected = f"{', '.join(VERDICTS)} or none" if action == VERDICT else f"none with {action!r}"
        raise InputError(f"incident {name}: verdict {verdict!r} is not valid; expected {expected}")
    if action == COMMENT and text is None:
        raise InputError(f"incident {name}: the comment is empty; write what others should know")
    check_writer(who, text, f"incident {name}")
    seen = {field: incident.get(field) for field in ("kind", "devices", "sensors", "start", "end")}
    row = {"action_id": uuid.uuid4().hex, "at": at, "who": who.strip(), "incident_id": name}
    return from_rows([row | seen | {"action": action, "verdict": verdict, "text": text}], INCIDENT_ACTIONS)


def check_writer(who: str, text: str | None, where: str) -> None:
    """Raise InputError unless a person has a name, and name and text are no longer than is stored."""
    if not who.strip() or len(who) > LONGEST_NAME:
        raise InputError(f"{where}: who is not valid; expected a name of 1 to {LONGEST_NAME} characters")
    if text is not None and len(text) > LONGEST_TEXT:
        raise InputError(
            f"{where}: the text has {len(text)} characters; expected {LONGEST_TEXT} or fewer, shorten it"
        )


def in_order(rows: pa.Table, key: str, until: datetime | None = None) -> pa.Table:
    """Sort actions or silences by time, then ``key``; without those after ``until``, UTC."""
    if until is not None:
        rows = rows.filter(to_arrow(to_numpy(rows["at"]) <= microseconds(until)))
    return rows.sort_by([("at", "ascending"), (key, "ascending")]).combine_chunks()


def handled(incidents: pa.Table, actions: pa.Table, at: datetime | None = None) -> pa.Table:
    """Derive what people have made of incidents.

    Parameters
    ----------
    incidents : pyarrow.Table
        The columns ``incident_id``, ``state`` and ``last_start`` of DEVICE_INCIDENTS, or of a part of them.
    actions : pyarrow.Table
        Schema INCIDENT_ACTIONS, in any order.
    at : datetime, optional
        UTC: actions after it do not count.

    Returns
    -------
    pyarrow.Table
        Schema HANDLED, a row an incident, in their order. An incident is ``closed`` when it is over, or when
        its last verdict is ``false_alarm`` or ``accepted``; else ``acknowledged`` when somebody has
        acknowledged it, and nobody has taken it back, or when its last verdict is ``true_event``; else
        ``open``. Where nobody acknowledged it or gave a verdict, those columns are null; so is a verdict, but
        ``accepted``, on an incident that has flapped since the person saw it: it asks again.
    """
    found: dict[str, dict[str, Any]] = {}
    verdicts: dict[str, Mapping[str, Any]] = {}
    for row in as_rows(in_order(actions, "action_id", at)):
        one = found.setdefault(row["incident_id"], {"incident_id": row["incident_id"], "n_comments": 0})
        if row["action"] == ACKNOWLEDGE:
            one |= {"acknowledged_by": row["who"], "acknowledged_at": row["at"]}
        elif row["action"] == UNACKNOWLEDGE:
            one |= {"acknowledged_by": None, "acknowledged_at": None}
        elif row["action"] == VERDICT:
            verdicts[row["incident_id"]] = row
            one |= {"verdict": row["verdict"], "verdict_by": row["who"], "verdict_at": row["at"]}
        one["n_comments"] += row["text"] is not None
    # The last row stands for incidents that nobody has touched.
    place = positions(incidents["incident_id"], strings(list(found)))
    some = incidents.select(["incident_id", "last_start"]).filter(to_arrow(place >= 0))
    for name, last_start in zip(*(column.to_pylist() for column in some.columns), strict=True):
        if name in verdicts and not holds(verdicts[name], last_start):
            found[name] |= _NO_VERDICT
    done = from_rows([*found.values(), {"n_comments": 0}], HANDLED)
    rows = done.take(to_arrow(np.where(place < 0, len(found), place)))
    return _with_states(rows.set_column(0, HANDLED.field(0), incidents["incident_id"]), incidents["state"])


def holds(verdict: Mapping[str, Any], last_start: datetime | None) -> bool:
    """Whether a verdict holds of an incident as it is now.

    Parameters
    ----------
    verdict : mapping
        A row of INCIDENT_ACTIONS.
    last_start : datetime or None
        When the last flap of the incident begins, UTC. What goes on is what the person saw; a flap that
        begins later is something else.
    """
    if verdict["verdict"] is None:
        return False
    is_seen = last_start is None or verdict["end"] is None or last_start <= verdict["end"]
    return is_seen or verdict["verdict"] not in _OF_WHAT_WAS_SEEN


def _with_states(rows: pa.Table, of_incident: pa.ChunkedArray) -> pa.Table:
    is_settled = np.any([are(rows["verdict"], one) for one in _SETTLED], axis=0)
    is_seen = are(rows["verdict"], TRUE_EVENT) | ~to_numpy(rows["acknowledged_by"].is_null())
    is_over = are(of_incident, "closed") | is_settled
    state = np.where(is_over, STATES.index(CLOSED), np.where(is_seen, STATES.index(ACKNOWLEDGED), 0))
    return rows.set_column(1, HANDLED.field(1), strings(STATES).take(to_arrow(state.astype(np.int64))))
