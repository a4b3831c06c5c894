"""The settings of ``kedro jobs plan``: sizes of nodes and their prices, how nodes start and stop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import Settings, Valid, at_least, read_parameters, require

WHERE = "jobs.costs"
_LENGTH = Valid(lambda length: length > timedelta(0), "a duration above 0 s, such as '5m'")
_AMOUNT = Valid(lambda amount: 0 <= amount < float("inf"), "0 or more")


@dataclass(frozen=True)
class NodeSize:
    """A node size on offer.

    Attributes
    ----------
    name : str
    tasks : int
        Jobs that run on it at once.
    dedicated, low_priority : float
        Price of an hour. A Spot node, as Azure has called low-priority nodes since March 2026, may be
        taken away at any time, which is not simulated; its price differs by region and changes.
    vm_size : str or None
        The cloud's name of it, by which a configured cluster finds its price.

    Raises
    ------
    InputError
        When ``tasks`` is below 1, or a price below zero.
    """

    name: str
    tasks: int
    dedicated: float
    low_priority: float
    vm_size: str | None = None

    def __post_init__(self) -> None:
        checks = {"tasks": (self.tasks >= 1, "1 or more")}
        for name in ("dedicated", "low_priority"):
            checks[name] = (0 <= getattr(self, name) < float("inf"), "a price per hour, 0 or more")
        require(self, f"{WHERE}.nodes: {self.name!r}", checks)

    def price(self, low_priority: bool) -> float:
        """Return the price per hour."""
        return self.low_priority if low_priority else self.dedicated


@dataclass(frozen=True)
class RegionPrice:
    """An entry of ``jobs.costs.prices``: what an hour of a node costs in a region.

    Attributes
    ----------
    region, vm_size : str
        By the cloud's names.
    dedicated, low_priority : float
    asked : str
        When this was its price.

    Raises
    ------
    InputError
        When a price is below zero.
    """

    region: str
    vm_size: str
    dedicated: float
    low_priority: float
    asked: str

    def __post_init__(self) -> None:
        checks = {
            name: (0 <= getattr(self, name) < float("inf"), "a price per hour, 0 or more")
            for name in ("dedicated", "low_priority")
        }
        require(self, f"{WHERE}.prices: {self.region!r}", checks)


@dataclass(frozen=True)
class ReplicaPrices(Settings):
    """``jobs.costs.container_apps``: prices of the consumption plan, and how it starts jobs.

    Attributes
    ----------
    vcpu_second, gib_second : float
        Prices.
    free_vcpu_seconds, free_gib_seconds : float
        Of each month and subscription.
    cores : float
        The environment's quota.
    start : timedelta
        From the start of an execution until its job begins.
    """

    where: ClassVar[str] = f"{WHERE}.container_apps"

    vcpu_second: Annotated[float, _AMOUNT] = 0.000024
    gib_second: Annotated[float, _AMOUNT] = 0.000003
    free_vcpu_seconds: Annotated[float, _AMOUNT] = 180_000.0
    free_gib_seconds: Annotated[float, _AMOUNT] = 360_000.0
    cores: Annotated[float, Valid(lambda cores: cores > 0, "a number of cores above 0")] = 100.0
    # Read as a duration, which is never negative.
    start: timedelta = timedelta(seconds=30)


# As in conf/base/parameters_jobs.yml.
_USUAL_SIZES = (
    NodeSize("2 cores", 2, 0.096, 0.0192, "Standard_D2s_v5"),
    NodeSize("8 cores", 8, 0.384, 0.0768, "Standard_D8s_v5"),
)


@dataclass(frozen=True)
class CostSettings(Settings):
    """``jobs.costs``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = WHERE

    nodes: list[dict[str, Any]] = field(default_factory=lambda: [asdict(size) for size in _USUAL_SIZES])
    low_priority: bool = False
    region: str | None = None
    prices: list[dict[str, Any]] = field(default_factory=list)
    currency: str = "USD"
    deadline: Annotated[timedelta | None, _LENGTH] = None
    max_nodes: Annotated[int, at_least(1)] = 100
    node_start: timedelta = timedelta(minutes=4)
    node_stop: timedelta = timedelta(minutes=1)
    job_overhead: timedelta = timedelta(seconds=2)
    autoscale_interval: Annotated[timedelta, _LENGTH] = timedelta(minutes=5)
    autoscale_offset: timedelta = timedelta(seconds=150)
    idle_before_stop: timedelta = timedelta(minutes=5)
    container_apps: ReplicaPrices = field(default_factory=ReplicaPrices)

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InputError(f"{WHERE}.nodes: the list is empty; expected at least one node size")
        names = [size.name for size in self.sizes]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{WHERE}.nodes: two sizes are called {name!r}; give each its own name")
        super().__post_init__()

    @property
    def sizes(self) -> list[NodeSize]:
        """The node sizes, at the prices of the region.

        Raises
        ------
        InputError
            When a size has no price in the region.
        """
        sizes = [
            read_parameters(NodeSize, values, f"{WHERE}.nodes: node {place}")
            for place, values in enumerate(self.nodes, 1)
        ]
        return sizes if self.region is None else [self._in_region(size) for size in sizes]

    @property
    def priced_as(self) -> str:
        """Whose prices these are, and of when."""
        if self.region is None:
            return f"as in {WHERE}.nodes, of no region in particular"
        return f"of {self.region}, asked on {', '.join(sorted({one.asked for one in self._of_region}))}"

    @property
    def _of_region(self) -> list[RegionPrice]:
        listed = [
            read_parameters(RegionPrice, values, f"{WHERE}.prices: price {place}")
            for place, values in enumerate(self.prices, 1)
        ]
        return [one for one in listed if one.region == self.region]

    def _in_region(self, size: NodeSize) -> NodeSize:
        wanted = (size.vm_size or "").casefold()
        found = next((one for one in self._of_region if one.vm_size.casefold() == wanted), None)
        if found is None:
            raise InputError(
                f"{WHERE}.prices: there is no price of {size.vm_size or size.name!r} in {self.region!r}; "
                f"`kedro jobs prices --region {self.region}` prints what to write there"
            )
        return replace(size, dedicated=found.dedicated, low_priority=found.low_priority)
