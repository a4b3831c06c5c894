"""Numbers that the project holds itself to, and the table that says whether they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number the project holds itself to, and how it says so in words."""

    key: str
    words: str
    bound: float
    at_least: bool

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def print_figures(
    figures: Iterable[Figure], values: Mapping[str, float | None], sizes: Mapping[str, int], size_name: str
) -> None:
    """For people: each figure beside its bound; ``sizes`` says what it was measured at."""
    print(f"\n| figure | key | {size_name} | measured | bound | holds |")
    print("|---|---|---:|---:|---:|---|")
    for figure in figures:
        value = values[figure.key]
        bound = f"{'≥' if figure.at_least else '≤'} {figure.bound:g}"
        if value is None:
            print(f"| {figure.words} | `{figure.key}` | | not measured | {bound} | |")
        else:
            holds = "yes" if figure.holds(value) else "**no**"
            size = f"{sizes[figure.key]:,}"
            print(f"| {figure.words} | `{figure.key}` | {size} | {value:.2f} | {bound} | {holds} |")
