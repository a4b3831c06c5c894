"""Copy files of a workspace to another one: only missing or changed ones, never over newer ones.

A ledger beside the workspace's own files records what was pushed where, and as which version. So a second
push knows what is there without fetching it, and detects what others have written there since.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from batch_scoring.core.digests import file_sha256
from batch_scoring.core.errors import InputError
from batch_scoring.registry.published import MANIFEST, folder_of, list_published, load_published
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.local import LocalFolder

PUBLISHED = "06_models/published"
LAYERS = {"readings": "02_intermediate/readings", "windows": "03_primary/windows"}
LEDGERS = ".pushed"
_LOG = "/_delta_log/"
_AT_ONCE = 8
# The most files that the ledger loses when a push is killed; these are then compared by their bytes.
_SAVE_EVERY = 50

Kind = Literal["copy", "same", "kept"]


@dataclass(frozen=True)
class Pushed:
    """Ledger entry of a file: its content here, and its version at the target."""

    sha256: str
    size: int
    changed_ns: int
    version: str


@dataclass(frozen=True)
class Step:
    """Action for a file; ``kept`` is one that was changed at the target meanwhile."""

    kind: Kind
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Counts:
    """Counts of what a push did, or would do."""

    copied: int = 0
    copied_bytes: int = 0
    same: int = 0
    kept: tuple[str, ...] = ()


def files_of_models(workspace: LocalFolder) -> list[list[str]]:
    """List the champions' files, checked: all tables, and then the manifests that name them.

    Raises
    ------
    InputError
        When there are none, or one is damaged.
    """
    root = workspace.below(PUBLISHED)
    sensors = list_published(root)
    if not sensors:
        raise InputError(
            f"{root.path()}: there are no published models; train some with `kedro run`, or publish with "
            "`kedro models promote`"
        )
    tables, manifests = [], []
    for sensor in sensors:
        folder = Path(PUBLISHED, Path(folder_of(root, sensor).path()).name)
        tables.append(str(folder / load_published(root, sensor).verify().manifest.file))
        manifests.append(str(folder / MANIFEST))
    return [tables, manifests]


def files_of_layers(workspace: LocalFolder, layers: Iterable[str]) -> list[list[str]]:
    """List the files of some layers, which are tables: of each its rows, and then its log, which names them.

    Raises
    ------
    InputError
        When a layer has none.
    """
    found = []
    for layer in layers:
        folder = workspace.below(LAYERS[layer])
        names = [f"{LAYERS[layer]}/{one.name}" for one in folder.entries()]
        log = [name for name in names if _LOG in name]
        if not log:
            raise InputError(
                f"{folder.path()}: there are no {layer}; name the workspace that has some with `--from`"
            )
        found += [[name for name in names if _LOG not in name], log]
    return found


class Push:
    """Push of files in groups, one after the other, so that a file follows the files it names.

    Parameters
    ----------
    source : LocalFolder
        The workspace.
    target : Folder
        The other one.
    force : bool
        Whether to overwrite files that were changed at the target meanwhile.
    """

    def __init__(self, source: LocalFolder, target: Folder, force: bool = False) -> None:
        self._source, self._target, self._force = source, target, force
        self._ledger = Ledger(source.root, target)
        self._lock = threading.Lock()

    def plan(self, groups: list[list[str]]) -> list[list[Step]]:
        """Plan the steps without changing anything.

        A table that has commits of its own at the target takes none from here.

        Raises
        ------
        InputError
            When it should be overwritten.
        """
        # Only the folders in question are listed.
        ours = {name for group in groups for name in group}
        tops = {_top(name) for name in ours}
        there = {
            f"{top}/{one.name}": one for top in sorted(tops) for one in self._target.below(top).entries()
        }
        for name in there if self._force else ():
            if _LOG in name and name not in ours:
                raise InputError(
                    f"{self._target.path(_top(name))}: this table has commits of its own; delete it there, "
                    "and push again"
                )
        planned = [[self._step(name, there.get(name)) for name in group] for group in groups]
        steps = [step for group in planned for step in group]
        differ = {_top(step.name) for step in steps if step.kind == "kept" and _LOG in step.name}
        return [
            [
                replace(step, kind="kept") if step.kind == "copy" and _top(step.name) in differ else step
                for step in group
            ]
            for group in planned
        ]

    def run(self, planned: list[list[Step]], progress: Callable[[Step], None]) -> Counts:
        """Run the steps; what another writer does meanwhile is never lost.

        Raises
        ------
        InputError
            When the target cannot be written; what was copied before stays.
        """
        try:
            for group in planned:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    for step in pool.map(self._do, group):
                        progress(step)
        finally:
            self._ledger.save()
        return count(planned)

    def _step(self, name: str, there: Entry | None) -> Step:
        path = self._source.root / name
        status, known = path.stat(), self._ledger.get(name)
        is_known = known is not None and (known.size, known.changed_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        sha256 = known.sha256 if known is not None and is_known else file_sha256(path)
        kind: Kind = "copy"
        if there is not None:
            is_ours = known is not None and known.version == _version(there)
            if known is not None and is_ours and known.sha256 == sha256:
                kind = "same"
            elif there.size == status.st_size and not is_ours and self._holds(name, sha256):
                kind = "same"
                self._note(name, sha256, there)
            elif not is_ours and not self._force:
                kind = "kept"
        return Step(kind, name, status.st_size, sha256)

    def _do(self, step: Step) -> Step:
        if step.kind == "copy":
            self._target.put(step.name, self._source.root / step.name)
            entry = self._target.entry(step.name)
            if entry is not None:
                self._note(step.name, step.sha256, entry)
        return step

    def _note(self, name: str, sha256: str, there: Entry) -> None:
        status = (self._source.root / name).stat()
        with self._lock:
            self._ledger.set(name, Pushed(sha256, status.st_size, status.st_mtime_ns, _version(there)))

    def _holds(self, name: str, sha256: str) -> bool:
        data, _ = self._target.read(name)
        return hashlib.sha256(data).hexdigest() == sha256


class Ledger:
    """Files pushed from a workspace to one target."""

    def __init__(self, workspace: Path, target: Folder) -> None:
        digest = hashlib.sha256(target.path().encode()).hexdigest()[:16]
        self._folder, self._name = LocalFolder(workspace / LEDGERS), f"{digest}.json"
        self._unsaved = 0
        try:
            data, _ = self._folder.read(self._name)
            self._files = {name: Pushed(**one) for name, one in json.loads(data)["files"].items()}
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            self._files = {}
        self._target = target.path()

    def get(self, name: str) -> Pushed | None:
        """Return the entry of a file."""
        return self._files.get(name)

    def set(self, name: str, pushed: Pushed) -> None:
        """Record a pushed file; written to disk every now and then."""
        self._files[name] = pushed
        self._unsaved += 1
        if self._unsaved >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write new entries to disk."""
        if self._unsaved:
            files = {name: asdict(one) for name, one in sorted(self._files.items())}
            text = json.dumps({"target": self._target, "files": files}, indent=1)
            with self._folder.writing(self._name) as file:
                file.write(text.encode())
            self._unsaved = 0


def count(planned: list[list[Step]]) -> Counts:
    """Count the files of each kind."""
    steps = [step for group in planned for step in group]
    copied = [step.size for step in steps if step.kind == "copy"]
    kept = tuple(step.name for step in steps if step.kind == "kept")
    return Counts(len(copied), sum(copied), sum(step.kind == "same" for step in steps), kept)


def _top(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _version(entry: Entry) -> str:
    return entry.version or f"{entry.size}-{entry.changed_ns}"
