"""The hours of a year after the first: the hourly `kedro run` late in the day, with a history, at scale.

    python benchmarks/hourly.py                          # 10,000 series, one round
    python benchmarks/hourly.py --series 2000 --work ~/hourly --only day,sensors
    python benchmarks/hourly.py --full --json            # 50,000 and a million series too, three rounds
    python benchmarks/hourly.py --full --rounds 1 --only million --work ~/hourly   # one case of it alone
    python benchmarks/hourly.py --draw benchmarks/results/hourly.json docs/images/hourly.png

See benchmarks/README.md for what is measured and for each figure. Only the command line is used, and the
source files that are given to it. Everything that is compared runs in turn, each time as a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timed_process
from hourly_data import (
    BASES,
    DAY,
    HOUR,
    MINUTE,
    RECIPE,
    SENSOR,
    TRAINED,
    WINDOW,
    Fleet,
    publish_copies,
    write_one_file,
    write_readings,
    write_small_files,
)
from hourly_picture import draw
from hourly_results import MILLION, Results, Run, hour_row, print_tables, to_json
from hourly_site import HOURLY, Cycle, Site, code_digest, windows_scored

HERE = Path(__file__).parent
LARGE = 50_000
LAST_HOUR = 23
HISTORY_DAYS = 90
SENSORS = 100
SMALL_FILES, SMALL_FILE_ROWS = 1_000, 200
# Only where they are asked for.
LARGE_CASES = ("day-50k", "million", "days")
# Hour 23 of the first day, the first hour of the third, and its hour 23.
HOURS_OF_DAYS = (LAST_HOUR, 49, 48 + LAST_HOUR)


@dataclass(frozen=True)
class Bench:
    """Where and how often to measure, and what was found."""

    work: Path
    rounds: int
    code: str | None
    has_polars: bool
    results: Results = field(default_factory=Results)

    def site(self, name: str) -> Site:
        return Site(self.work / name, self.code)

    def with_models(self, name: str, fleet: Fleet) -> Site:
        """A site whose state "start" holds a model for each series, and nothing else."""
        site = self.site(name)
        if not site.has("start"):
            published = self._trained(fleet.interval)
            say(f"{name}: models for {fleet.series:,} series")
            shutil.rmtree(site.data, ignore_errors=True)
            publish_copies(published, fleet, site.data / "06_models/published")
            site.save("start")
        return site

    def base_readings(self, interval: timedelta = MINUTE) -> Path:
        """The readings that the models of the base series are trained on."""
        path = self.work / f"base-{interval.seconds}s/sources/training.parquet"
        return write_readings(path, Fleet(BASES, interval=interval), DAY - TRAINED, TRAINED)

    def _trained(self, interval: timedelta) -> Path:
        """The published models of the base series, with readings this far apart."""
        site = self.site(f"base-{interval.seconds}s")
        if not site.has("trained"):
            say(f"training {BASES} series")
            site.give([self.base_readings(interval)])
            site.run(DAY, ("ingest", "aggregate", "train"), parameters=",train.share=1.0")
            site.save("trained")
        return site.folder / "states/trained/data/06_models/published"

    def in_turn(self, case: str, runs: Sequence[tuple[str, int, Callable[[], Run]]]) -> None:
        """Take all runs of a case one after the other, round by round."""
        for number in range(self.rounds):
            say(f"{case}: round {number + 1} of {self.rounds}")
            for name, size, take in runs:
                self.results.add(case, name, size, take())


def hour_file(site: Site, fleet: Fleet, hour: int) -> Path:
    """The source file of an hour of the day, 1 to 24."""
    return write_readings(site.sources / f"hour-{hour:02d}.parquet", fleet, DAY + (hour - 1) * HOUR, HOUR)


def run_hour(site: Site, fleet: Fleet, hour: int, given: Sequence[Path], **how: Any) -> Cycle:
    """The cycle at the end of an hour of the day, with these files of readings there."""
    site.give(given)
    cycle = site.run(DAY + hour * HOUR, **how)
    require_windows(cycle, fleet.windows(HOUR), f"hour {hour}")
    return cycle


def first_hour(bench: Bench, name: str, fleet: Fleet, **how: Any) -> Callable[[], Cycle]:
    """Prepare the first cycle of a fleet that has models and no history."""
    site = bench.with_models(name, fleet)
    file = hour_file(site, fleet, 1)

    def take() -> Cycle:
        site.restore("start")
        return run_hour(site, fleet, 1, [file], **how)

    return take


def measure_day(bench: Bench, series: int, case: str = "day") -> None:
    """The hours of a day one after the other; then its first and its 23rd in turn, beside Polars."""
    fleet = Fleet(series)
    first = first_hour(bench, day_of(series), fleet)
    site = bench.site(day_of(series))
    files = [hour_file(site, fleet, hour) for hour in range(1, LAST_HOUR + 1)]
    state = f"hour-{LAST_HOUR - 1}"
    if not site.has(state):
        site.restore("start")
        hours = []
        for hour in range(1, LAST_HOUR):
            cycle = run_hour(site, fleet, hour, files[:hour])
            say(f"{series:,} series, hour {hour}: {cycle.seconds:.1f} s")
            hours.append(hour_row(series, hour, [cycle], files[hour - 1]))
        site.save(state, hours)

    def last() -> Cycle:
        site.restore(state)
        return run_hour(site, fleet, LAST_HOUR, files)

    runs: list[tuple[str, int, Callable[[], Run]]] = [("hour 1", series, first), ("hour 23", series, last)]
    if bench.has_polars and case == "day":
        runs += polars_runs(bench, fleet, site, files)
    bench.in_turn(case, runs)
    cycles = [run for run in bench.results.taken[case, "hour 23"] if isinstance(run, Cycle)]
    bench.results.hours += [*site.notes(state), hour_row(series, LAST_HOUR, cycles, files[-1])]
    if case == "day":
        bench.results.new_bytes = files[-1].stat().st_size


def measure_days(bench: Bench, series: int) -> None:
    """Hours of the first and the third day in turn, all with `maintain`, as hourly lines have it."""
    fleet, how = Fleet(series), {"pipelines": (*HOURLY, "maintain")}
    site = bench.with_models(f"days-{series}", fleet)
    last = max(HOURS_OF_DAYS)
    files = [hour_file(site, fleet, hour) for hour in range(1, last + 1)]
    if not site.has(f"hour-{last - 1}"):
        site.restore("start")
        for hour in range(1, last):
            cycle = run_hour(site, fleet, hour, files[:hour], **how)
            say(f"{series:,} series, hour {hour}: {cycle.cpu_seconds:.1f} s of the processor")
            if hour + 1 in HOURS_OF_DAYS:
                site.save(f"hour-{hour}")

    def again(hour: int) -> Callable[[], Cycle]:
        def take() -> Cycle:
            site.restore(f"hour-{hour - 1}")
            return run_hour(site, fleet, hour, files[:hour], **how)

        return take

    bench.in_turn("days", [(f"hour {hour}", series, again(hour)) for hour in HOURS_OF_DAYS])


def polars_runs(
    bench: Bench, fleet: Fleet, site: Site, files: Sequence[Path]
) -> list[tuple[str, int, Callable[[], Run]]]:
    """Prepare the same hour 23 by two Polars programs, which have done hour 22 before."""
    folder = site.sources / "polars"
    if not (folder / "robust.parquet").exists():
        shutil.rmtree(folder, ignore_errors=True)
        competitor("polars_train", bench.base_readings(), fleet.devices, folder)
    found = []
    for name, module, models in (
        ("Polars + scikit-learn", "polars_loop", folder / "models"),
        ("Polars + robust z", "polars_robust_z", folder / "robust.parquet"),
    ):
        before, out = folder / f"{module}-22.parquet", folder / f"{module}-23.parquet"
        competitor(module, models, files[-2], before)

        def take(module=module, models=models, out=out, before=before) -> Run:
            os.sync()
            done = competitor(module, models, files[-1], out, before)
            if windows_scored(done.output) != fleet.windows(HOUR):
                sys.exit(f"{module} has not scored every window:\n{done.output}")
            return done

        found.append((name, fleet.series, take))
    return found


def competitor(module: str, *arguments: object) -> timed_process.Finished:
    """Run one of the programs in ``competitors`` to its end."""
    return timed_process.run([sys.executable, "-m", f"competitors.{module}", *map(str, arguments)], HERE)


def measure_history(bench: Bench, devices: int) -> None:
    """An hour of a fleet with a reading every 5 minutes, with 90 days behind it and with none."""
    fleet = Fleet(devices, interval=WINDOW)
    name = f"history-{devices}"
    without = first_hour(bench, name, fleet)
    site = bench.site(name)
    days = [
        write_readings(
            site.sources / f"day-{HISTORY_DAYS - ago:02d}.parquet",
            fleet,
            DAY - timedelta(days=ago),
            timedelta(days=1),
        )
        for ago in range(HISTORY_DAYS, 0, -1)
    ]
    hour = hour_file(site, fleet, 1)
    if not site.has("history"):
        say(f"history: {HISTORY_DAYS} days of {devices:,} series in one run")
        site.restore("start")
        site.give(days)
        require_windows(site.run(DAY), fleet.windows(timedelta(days=HISTORY_DAYS)), "the history")
        site.save("history")

    def with_history() -> Cycle:
        site.restore("history")
        return run_hour(site, fleet, 1, [*days, hour])

    bench.in_turn("history", [("none", devices, without), ("90 days", devices, with_history)])


def measure_known_files(bench: Bench, files: int) -> None:
    """A cycle without anything new: two devices have sent a file a minute, or all of it in one file."""
    fleet = Fleet(2)
    site = bench.with_models(f"known-{files}", fleet)
    duration = files * MINUTE
    readings = {
        "many": write_small_files(site.sources / "many", fleet, DAY, files),
        "one": write_one_file(site.sources / "one", fleet, DAY, files),
    }
    for state, given in readings.items():
        if not site.has(state):
            say(f"known files: reading them, {state}")
            site.restore("start")
            cycle = site.run(DAY + duration, readings=given)
            require_windows(cycle, fleet.windows(duration), f"{state} of the known files")
            site.save(state)

    def again(state: str) -> Callable[[], Cycle]:
        def take() -> Cycle:
            site.restore(state)
            cycle = site.run(DAY + duration, readings=readings[state])
            require_windows(cycle, 0, "a run with nothing new")
            return cycle

        return take

    bench.in_turn("known files", [("many", files, again("many")), ("one", 1, again("one"))])


def measure_small_files(bench: Bench) -> None:
    """`ingest` of 1,000 files of 200 rows, and of one file of the same rows."""
    fleet = Fleet(SMALL_FILE_ROWS)
    site = bench.with_models("small-files", fleet)
    end = DAY + SMALL_FILES * MINUTE
    readings = {
        "1,000": write_small_files(site.sources / "many", fleet, DAY, SMALL_FILES),
        "one": write_one_file(site.sources / "one", fleet, DAY, SMALL_FILES),
    }

    def ingest(name: str) -> Callable[[], Cycle]:
        def take() -> Cycle:
            site.restore("start")
            return site.run(end, ("ingest",), readings[name])

        return take

    def check(name: str) -> None:
        """Stop unless all rows arrived: score what was ingested last."""
        cycle = site.run(end, HOURLY, readings[name])
        require_windows(cycle, fleet.windows(end - DAY), f"the ingest of {name}")

    for name in readings:
        ingest(name)()
        check(name)
    sizes = {"1,000": SMALL_FILES, "one": 1}
    bench.in_turn("small files", [(name, sizes[name], ingest(name)) for name in readings])


def measure_sensors(bench: Bench, series: int) -> None:
    """Hour 1 of as many series, of 100 sensors and of one."""
    many = Fleet(series // SENSORS, tuple(f"{SENSOR}_{number:03d}" for number in range(SENSORS)))
    one = Fleet(many.series)
    runs = [
        ("100", many.series, first_hour(bench, f"sensors-{series}", many)),
        ("one", one.series, first_hour(bench, day_of(one.series), one)),
    ]
    bench.in_turn("sensors", runs)


def measure_million(bench: Bench) -> None:
    """Hour 1 of a million series beside that of 50,000."""
    runs = [
        (f"{series:,}", series, first_hour(bench, day_of(series), Fleet(series), with_children=True))
        for series in (MILLION, LARGE)
    ]
    bench.in_turn("million", runs)


def day_of(series: int) -> str:
    return f"day-{series}"


def require_windows(cycle: Cycle, expected: int, what: str) -> None:
    """Stop the program when a run has not scored what it should have: its time would mean nothing."""
    if cycle.windows != expected:
        sys.exit(f"{what}: {cycle.windows:,} windows scored, {expected:,} expected; no figure is printed")


def say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def cases_of(arguments: argparse.Namespace) -> dict[str, Callable[[Bench], None]]:
    """What is measured, by name, in this order."""
    series = arguments.series
    history, known = (1_000, 100_000) if arguments.full else (200, 2_000)
    cases: dict[str, Callable[[Bench], None]] = {
        "day": lambda bench: measure_day(bench, series),
        "sensors": lambda bench: measure_sensors(bench, series),
        "small-files": measure_small_files,
        "known-files": lambda bench: measure_known_files(bench, arguments.known_files or known),
        "history": lambda bench: measure_history(bench, arguments.history_series or history),
    }
    cases |= {
        "day-50k": lambda bench: measure_day(bench, LARGE, "day of 50,000"),
        "million": measure_million,
        "days": lambda bench: measure_days(bench, series),
    }
    return cases


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="large fleets and histories too; 40 GB of disk")
    parser.add_argument("--series", type=int, default=10_000, help="of the day and of the sensors (10,000)")
    parser.add_argument("--history-series", type=int, help="with 90 days of history (200, or 1,000)")
    parser.add_argument("--known-files", type=int, help="source files already known (2,000, or 100,000)")
    parser.add_argument("--rounds", type=int, help="how often each run is timed (1; with --full 3)")
    parser.add_argument("--only", help="only these cases, such as day,million")
    parser.add_argument("--work", type=Path, help="a folder for what is prepared, kept and used again")
    parser.add_argument(
        "--reuse", action="store_true", help="use prepared workspaces though the code has changed since"
    )
    parser.add_argument("--json", action="store_true", help="print one object instead of tables")
    parser.add_argument(
        "--draw", nargs=2, type=Path, metavar=("JSON", "PNG"), help="draw the hours of a result, and no more"
    )
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    if arguments.draw:
        source, target = arguments.draw
        draw(json.loads(source.read_text(encoding="utf-8"))["hours"], target)
        return
    cases = cases_of(arguments)
    usual = [name for name in cases if arguments.full or name not in LARGE_CASES]
    chosen = arguments.only.split(",") if arguments.only else usual
    if unknown := [name for name in chosen if name not in cases]:
        sys.exit(f"--only {','.join(unknown)} is not valid; expected some of {', '.join(cases)}, such as day")
    left_out = [] if find_spec("polars") else ["polars"]
    if left_out:
        say('Polars is left out: it is not installed (`pip install -e ".[bench]"`)')
    place: AbstractContextManager[str | Path] = (
        nullcontext(arguments.work) if arguments.work else tempfile.TemporaryDirectory()
    )
    with place as work:
        folder = Path(work).resolve() / f"recipe-{RECIPE}"
        rounds = arguments.rounds or (3 if arguments.full else 1)
        bench = Bench(folder, rounds, None if arguments.reuse else code_digest(), not left_out)
        for name in chosen:
            cases[name](bench)
    if arguments.json:
        print(to_json(bench.results, left_out))
    else:
        print_tables(bench.results)


if __name__ == "__main__":
    main()
