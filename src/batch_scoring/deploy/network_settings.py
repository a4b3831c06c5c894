"""The settings of the network of a deployment, and which addresses it may have."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import require

# Azure keeps this number of addresses of every subnet.
_KEPT_ADDRESSES = 5
_SMALLEST_PREFIX = 24
# What a network of one's own may have.
_INSIDE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@dataclass(frozen=True)
class NetworkSettings:
    """``deploy.network``: whether the deployment is reached from the internet, or from a network alone.

    Attributes
    ----------
    access : str
        ``public``, or ``private``: services are reached through private endpoints, nodes have no public
        addresses.
    addresses : str
        Of the virtual network: half of them are for nodes, a quarter for endpoints, a quarter for schedulers.
    allowed : tuple of str
        Public addresses, or ranges of them, that may reach storage, vault, registry, hub and Batch besides.

    Raises
    ------
    InputError
        When an address is not valid.
    """

    access: Literal["public", "private"] = "public"
    addresses: str = "10.20.0.0/22"
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        network = _network(self.addresses)
        is_wide = network is not None and _is_inside(network) and network.prefixlen <= _SMALLEST_PREFIX
        expected = f"a private range of at least /{_SMALLEST_PREFIX}, such as '10.20.0.0/22'"
        require(self, "deploy.network", {"addresses": (is_wide, expected)})
        for one in self.allowed:
            if not _is_outside(one):
                raise InputError(
                    f"deploy.network.allowed: {one!r} is not valid; expected a public IPv4 address such as "
                    "'203.0.113.7', or a range up to /30 such as '203.0.113.0/28'"
                )

    @property
    def is_private(self) -> bool:
        """Whether the deployment is reached from a network alone."""
        return self.access == "private"

    @property
    def subnets(self) -> dict[str, IPv4Network]:
        """Addresses of the subnets by their names."""
        nodes, rest = IPv4Network(self.addresses).subnets()
        endpoints, scheduler = rest.subnets()
        return {"nodes": nodes, "endpoints": endpoints, "scheduler": scheduler}

    @property
    def most_nodes(self) -> int:
        """Number of nodes that find an address."""
        return self.subnets["nodes"].num_addresses - _KEPT_ADDRESSES


def _network(text: object) -> IPv4Network | None:
    try:
        found = ip_network(str(text))
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def _is_outside(text: object) -> bool:
    """Return whether firewalls of storage accounts take it: they refuse private addresses, /31 and /32."""
    found = _network(text)
    return found is not None and not _is_inside(found) and ("/" not in str(text) or found.prefixlen <= 30)


def _is_inside(network: IPv4Network) -> bool:
    return any(network.subnet_of(block) for block in _INSIDE)
