"""Try something out step by step, clean up whatever happens, and report; knows nothing of Azure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from batch_scoring.core.errors import InputError

DONE, FAILED, LEFT_OUT = "done", "FAILED", "left out"
Say = Callable[[str], None]
_PAUSE_SECONDS = 20.0
# Machines of other kinds may round the last digits of a score differently.
_TOLERANCE = 1e-9
_KEY = ("window_start", "device", "sensor")


@dataclass(frozen=True)
class Step:
    """A step of a trial.

    Attributes
    ----------
    name : str
    act : callable
        Does it; returns what is worth noting.
    patience : float
        For this number of seconds it is tried again when it fails.
    """

    name: str
    act: Callable[[], str]
    patience: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a step, after how many seconds."""

    name: str
    state: str
    seconds: float = 0.0
    note: str = ""


def try_out(steps: Sequence[Step], clean_up: Step, limit: float, say: Say) -> list[Outcome]:
    """Take the steps until one fails or time is up, and then clean up in any case.

    Parameters
    ----------
    steps : sequence of Step
    clean_up : Step
        Taken after a failure, an interruption and the end of the time, too.
    limit : float
        Seconds after which no step begins and none is tried again.
    say : callable
        Gets a line for each step.

    Returns
    -------
    list of Outcome
        One a step, that of ``clean_up`` last.
    """
    until, outcomes = time.monotonic() + limit, list[Outcome]()
    try:
        for step in steps:
            if time.monotonic() >= until:
                outcomes.append(Outcome(step.name, FAILED, 0.0, "the time is up"))
            else:
                outcomes.append(_outcome(step, until, say))
            if outcomes[-1].state != DONE:
                break
    finally:
        outcomes += [Outcome(step.name, LEFT_OUT) for step in steps[len(outcomes) :]]
        outcomes.append(_outcome(clean_up, time.monotonic() + clean_up.patience, say))
    return outcomes


def _outcome(step: Step, until: float, say: Say) -> Outcome:
    say(f"… {step.name}")
    begun = time.monotonic()
    give_up = min(begun + step.patience, until)
    while True:
        try:
            note, state = step.act(), DONE
        except KeyboardInterrupt:
            note, state = "interrupted", FAILED
        except Exception as error:
            if isinstance(error, InputError) and time.monotonic() + _PAUSE_SECONDS < give_up:
                time.sleep(_PAUSE_SECONDS)
                continue
            note, state = f"{type(error).__name__}: {error}", FAILED
        outcome = Outcome(step.name, state, time.monotonic() - begun, note)
        say(f"{outcome.state} in {outcome.seconds:.0f} s{': ' if note else ''}{note}")
        return outcome


def is_well(outcomes: Iterable[Outcome]) -> bool:
    """Return whether every step was done."""
    return all(one.state == DONE for one in outcomes)


def report_of(outcomes: Sequence[Outcome], about: Sequence[tuple[str, str]], hidden: str) -> str:
    """Write a report in Markdown, to be attached to an issue.

    Parameters
    ----------
    outcomes : sequence of Outcome
    about : sequence of (str, str)
        What was tried out: names and values.
    hidden : str
        Is not shown, such as the id of a subscription.
    """
    rows = [("step", "state", "seconds", "note"), ("---",) * 4]
    rows += [(one.name, one.state, f"{one.seconds:.0f}", one.note) for one in outcomes]
    lines = [
        f"# Smoke test: {'all is well' if is_well(outcomes) else 'something failed'}",
        "",
        *(f"- {name}: {value}" for name, value in about),
        "",
        *(
            "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"
            for row in rows
        ),
    ]
    text = "\n".join(lines) + "\n"
    return text.replace(hidden, "…") if hidden else text


def compare(expected: pa.Table, found: pa.Table) -> str:
    """Compare predictions, window by window.

    Returns
    -------
    str
        How many there are, and the largest difference of a score.

    Raises
    ------
    InputError
        When one is missing, there twice, or not expected, or when a flag or a score differs.
    """
    mine, theirs = _by_window(expected), _by_window(found)
    if len(theirs) != found.num_rows:
        raise InputError(f"predictions: {found.num_rows - len(theirs):,} are there twice")
    if mine.keys() != theirs.keys():
        raise InputError(
            f"predictions: {len(mine.keys() - theirs.keys()):,} of {len(mine):,} are missing, and "
            f"{len(theirs.keys() - mine.keys()):,} are there that the local run does not make"
        )
    largest = 0.0
    for key, (score, flag) in mine.items():
        other, its_flag = theirs[key]
        difference = 0.0 if score == other else float("inf")
        if score is not None and other is not None:
            difference = abs(score - other) / max(abs(score), 1.0)
        largest = max(largest, difference)
        if flag != its_flag or difference > _TOLERANCE:
            start, device, sensor = key
            raise InputError(
                f"predictions: of {device}, {sensor} at {start} the score is {other} and the flag "
                f"{its_flag}, and in the local run {score} and {flag}"
            )
    return f"{len(mine):,} predictions, the largest relative difference of a score {largest:.1g}"


def _by_window(table: pa.Table) -> dict[tuple[object, ...], tuple[float | None, bool | None]]:
    columns = table.select([*_KEY, "score", "is_anomaly"]).to_pydict()
    keys = zip(*(columns[name] for name in _KEY), strict=True)
    return dict(zip(keys, zip(columns["score"], columns["is_anomaly"], strict=True), strict=True))
