"""``python -m tests.end_to_end.hourly_kills``: a day of hourly runs that are killed, and one of racing runs.

The day's readings come in parts, some of them late, some contradicting earlier ones. After each part
the whole hourly cycle runs: once, undisturbed; or once with a `kill -9` at a random moment, and again; or
twice at the same time. Each day must end in the rows of the undisturbed one, and each event be sent once.
The exit code is 1 when that is not so, or when a run ended with a traceback or with a code it should not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from tests.end_to_end.warm_kedro import WarmKedro, warm_kedro
from tests.end_to_end.workspaces import contents

DAY = datetime(2026, 1, 7, tzinfo=UTC)
MINUTES = 1440
DEVICES = [f"pump-{number:02d}" for number in range(1, 13)]
USUAL = {"temperature": 20.0, "vibration": 1.0}
LATE, CONTRADICTING, LATEST_MINUTES = 0.02, 0.001, 360
HOUR = "ingest,aggregate,score,incidents,monitor,report,maintain"
BEFORE = "simulate,ingest,aggregate,train,score,incidents,monitor,report"
Contents = dict[str, list[str]]
FLEET = (
    f"simulate.devices={len(DEVICES)},simulate.days=2,simulate.sensors=[{','.join(USUAL)}],"
    "train.fit.max_train_windows=200,maintain.compact_from=4"
)
# Of a run that ends because another one was first.
OVERTAKEN = 75


@dataclass
class Day:
    """A workspace to which a day's readings come in parts.

    Attributes
    ----------
    folder : Path
    parts : int
    codes : Counter
        How many runs ended with which code.
    commits : Counter
        How many of the killed runs had made this many commits.
    troubles : list of str
        The output of runs that ended as none should.
    """

    folder: Path
    parts: int
    codes: Counter[int] = field(default_factory=Counter)
    commits: Counter[int] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def arguments(self, pipelines: str, minute: float) -> list[str]:
        """What ``kedro`` is called with."""
        at = f"{DAY + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
        sinks = f"[{{type: file, path: {self.folder}/alerts.jsonl}}]"
        params = f"data={self.folder},at={at},{FLEET},alerts.sinks={sinks}"
        params += ",alerts.warming_up=true"
        return ["run", "--pipelines", pipelines, "--params", params]

    def run(
        self, part: int, expected: set[int], kedro: WarmKedro | None = None, kill_after: float | None = None
    ) -> int:
        """Run the hourly cycle after a part; its exit code."""
        arguments = self.arguments(HOUR, (part + 1) * MINUTES / self.parts)
        code, output = (kedro or warm_kedro()).run(arguments, kill_after=kill_after)
        self.codes[code] += 1
        is_sentence = code <= 0 or output.count("Error: ") == 1
        if code not in expected or "Traceback" in output or not is_sentence:
            self.troubles.append(f"part {part} ended with {code}:\n{output}")
        return code

    @classmethod
    def begun(cls, before: Path, folder: Path, parts: int) -> Day:
        """The day after those of a workspace, in a copy of it."""
        return cls(shutil.copytree(before, folder), parts)


# Lives through a day, given the seconds of each undisturbed run; returns what it ends in.
Trouble = Callable[[Day, list[float], random.Random], Contents]


def readings_of_the_day(parts: int) -> list[pd.DataFrame]:
    """The readings that come with each part."""
    chance = np.random.default_rng(7)
    rows = pd.MultiIndex.from_product(
        [range(MINUTES), DEVICES, USUAL], names=["minute", "device", "sensor"]
    ).to_frame(index=False)
    rows["value"] = rows["sensor"].map(USUAL) + chance.normal(0, 0.05, len(rows))
    # An hour of each device is far off, one after the other.
    begin = rows["device"].map({device: 100 * place + 60 for place, device in enumerate(DEVICES)})
    rows.loc[(rows["minute"] - begin).between(0, 59), "value"] += 500.0
    came = rows["minute"] + chance.integers(0, LATEST_MINUTES, len(rows)) * (chance.random(len(rows)) < LATE)
    again = rows.sample(frac=CONTRADICTING, random_state=7)
    rows = pd.concat([rows, again.assign(value=again["value"] + 0.01)])
    came = np.append(came, again["minute"] + LATEST_MINUTES)
    part = np.minimum(came * parts // MINUTES, parts - 1)
    moment = pd.Timestamp(DAY) + pd.to_timedelta(rows.pop("minute"), unit="min")
    rows.insert(0, "timestamp", moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return [rows[part == one] for one in range(parts)]


def trained(folder: Path) -> Path:
    """The workspace of a fleet with models that has scored two days, and no reading of the day."""
    code, output = warm_kedro().run(Day(folder, 1).arguments(BEFORE, 0))
    assert code == 0, output
    return folder


def lived(day: Day, hour: Callable[[int], object]) -> Contents:
    """Let a day go by; what it ends in."""
    for part, rows in enumerate(readings_of_the_day(day.parts)):
        rows.to_csv(day.folder / f"01_raw/readings/part-{part:03d}.csv", index=False)
        hour(part)
    return contents(day.folder)


def undisturbed(day: Day) -> tuple[Contents, list[float]]:
    """What a day ends in without trouble, and the seconds of each of its runs."""
    seconds: list[float] = []

    def hour(part: int) -> None:
        began = time.monotonic()
        day.run(part, {0})
        seconds.append(time.monotonic() - began)

    found = lived(day, hour)
    assert not day.troubles, day.troubles
    return found, seconds


def killed(day: Day, seconds: list[float], chance: random.Random) -> Contents:
    """What a day ends in of which each run is killed at a random moment, and repeated."""
    kept = day.folder.with_name("kept")

    def hour(part: int) -> None:
        longest, made = seconds[part], commits_in(day.folder)
        shutil.copytree(day.folder, kept)
        began = time.monotonic()
        while day.run(part, {-signal.SIGKILL, 0}, kill_after=chance.uniform(0, longest)) == 0:
            # It was quicker than the undisturbed one: once more from where it began.
            longest = time.monotonic() - began
            shutil.rmtree(day.folder)
            shutil.copytree(kept, day.folder)
            began = time.monotonic()
        shutil.rmtree(kept)
        day.commits[commits_in(day.folder) - made] += 1
        day.run(part, {0})

    return lived(day, hour)


def commits_in(folder: Path) -> int:
    """The number of commits of all tables."""
    return sum(1 for _ in folder.rglob("_delta_log/*.json"))


def raced(other: WarmKedro, day: Day, seconds: list[float], chance: random.Random) -> Contents:
    """What a day ends in of which each run races with another one, started up to half a run later."""

    def hour(part: int) -> None:
        wait = chance.uniform(0, seconds[part] / 2) * chance.randint(0, 1)

        def later() -> int:
            time.sleep(wait)
            return day.run(part, {0, OVERTAKEN}, other)

        with ThreadPoolExecutor(2) as pool:
            codes = [pool.submit(day.run, part, {0, OVERTAKEN}), pool.submit(later)]
        if 0 not in [code.result() for code in codes]:
            day.troubles.append(f"part {part}: neither of two runs came to its end")

    return lived(day, hour)


def differences(found: Contents, wanted: Contents) -> list[str]:
    """A line for each table whose rows are others."""
    lines = []
    for name in sorted({*found, *wanted}):
        mine, theirs = Counter(found.get(name, ())), Counter(wanted.get(name, ()))
        if mine != theirs:
            more, less = list((mine - theirs).elements()), list((theirs - mine).elements())
            lines.append(f"{name}: {len(more)} rows too many, {len(less)} missing: {more[:2]} {less[:2]}")
    return lines


def main() -> int:
    """Run it with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--races", type=int, default=30)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        before = trained(Path(folder, "before"))
        days = [
            tried(before, kind, parts, live, chance)
            for kind, parts, live in (
                ("kills", options.kills, killed),
                ("races", options.races, partial(raced, WarmKedro())),
            )
            if parts
        ]
    return 0 if all(days) else 1


def tried(before: Path, kind: str, parts: int, live: Trouble, chance: random.Random) -> bool:
    """Whether a day with trouble ends as one without; prints what it ended in."""
    began = time.monotonic()
    calm, day = (Day.begun(before, before.with_name(name), parts) for name in (f"no-{kind}", kind))
    wanted, seconds = undisturbed(calm)
    lines = [*differences(live(day, seconds, chance), wanted), *day.troubles[:3]]
    codes = ", ".join(f"{n} runs ended with {code}" for code, n in sorted(day.codes.items()))
    if day.commits:
        codes += "; killed after " + ", ".join(f"{n} commits: {k}" for n, k in sorted(day.commits.items()))
    sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in wanted.items())
    print(f"{parts} {kind}: {codes}; {time.monotonic() - began:.0f} s; in the end {sizes}")
    print("\n".join(lines or ["the same rows as in an undisturbed day"]), flush=True)
    return not lines


if __name__ == "__main__":
    sys.exit(main())
