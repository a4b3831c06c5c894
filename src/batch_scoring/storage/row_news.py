"""Follow a table's commits: which files hold rows that are new since, and which files have lost rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Action = Mapping[str, Any]


@dataclass
class News:
    """What some commits have changed, by names of files.

    Attributes
    ----------
    added : set of str
        Files with new rows that are still there. A file that was compacted from one is among them.
    removed : set of str
        Files of before whose rows were rewritten or removed, or were compacted together with new rows.
    """

    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    # Of each compacted file those that it was made of.
    _sources: dict[str, set[str]] = field(default_factory=dict)

    def follow(self, commit: Iterable[Mapping[str, Action]]) -> None:
        """Add what a commit changes; compaction moves rows and changes none."""
        moved_from: dict[str, set[str]] = {}
        moved_to: dict[str, set[str]] = {}
        for action in commit:
            for kind, moved in (("remove", moved_from), ("add", moved_to)):
                if kind not in action:
                    continue
                name = unquote(action[kind]["path"])
                if not action[kind]["dataChange"]:
                    days = str(sorted((action[kind].get("partitionValues") or {}).items()))
                    moved.setdefault(days, set()).add(name)
                elif kind == "add":
                    self.added.add(name)
                else:
                    self.added.discard(name)
                    self.removed |= self._sources.pop(name, {name})
        for days, names in moved_to.items():
            former = moved_from.get(days, set())
            sources = set().union(*(self._sources.pop(name, {name}) for name in former))
            if former & self.added:
                self.added -= former
                self.added |= names
                self.removed |= sources
            self._sources |= dict.fromkeys(names, sources)


def news_of(commits: Iterable[Iterable[Mapping[str, Action]]]) -> News:
    """Follow commits in their order.

    Examples
    --------
    >>> def act(kind, path, is_news):
    ...     return {kind: {"path": path, "dataChange": is_news}}
    >>> added = [act("add", "new", True)]
    >>> compacted = [act("remove", "old", False), act("remove", "new", False), act("add", "both", False)]
    >>> news = news_of([added, compacted])
    >>> news.added, sorted(news.removed)
    ({'both'}, ['new', 'old'])
    """
    news = News()
    for commit in commits:
        news.follow(commit)
    return news
