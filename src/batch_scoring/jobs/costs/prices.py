"""Look up prices of nodes by region, in Azure's list of retail prices; needs no account.

The list's form is that of the page *Azure Retail Prices overview* of learn.microsoft.com. Nodes that an
engine's API calls low-priority are Spot since March 2026 (https://github.com/Azure/Batch/issues/196).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.costs.settings import RegionPrice

ENDPOINT = "https://prices.azure.com/api/retail/prices"
_TIMEOUT_SECONDS = 60


def look_up(
    region: str, vm_sizes: Iterable[str], currency: str, today: str, endpoint: str = ENDPOINT
) -> list[RegionPrice]:
    """Ask for the prices of an hour of Linux nodes.

    Parameters
    ----------
    region : str
        Such as ``westeurope``.
    vm_sizes : iterable of str
        Such as ``Standard_D2s_v5``.
    currency : str
        Such as ``USD``.
    today : str
        When the prices are asked, YYYY-MM-DD.
    endpoint : str

    Raises
    ------
    InputError
        When the list cannot be reached, or has no price of a size in the region.
    """
    found = []
    for vm_size in vm_sizes:
        wanted = {
            "serviceName": "Virtual Machines",
            "armRegionName": region,
            "armSkuName": vm_size,
            "priceType": "Consumption",
        }
        words = " and ".join(f"{name} eq '{value}'" for name, value in wanted.items())
        query = urlencode({"currencyCode": currency, "$filter": words})
        found.append(price_of(_items(f"{endpoint}?{query}"), region, vm_size, today))
    return found


def price_of(items: Iterable[Mapping[str, Any]], region: str, vm_size: str, today: str) -> RegionPrice:
    """Choose a size's price from the entries of the list: of Linux, by the hour, dedicated and Spot.

    Raises
    ------
    InputError
        When there is none.
    """
    hourly = [
        one
        for one in items
        if one["unitOfMeasure"] == "1 Hour" and not str(one["productName"]).endswith("Windows")
    ]
    spot = [one["retailPrice"] for one in hourly if str(one["skuName"]).endswith(" Spot")]
    dedicated = [
        one["retailPrice"] for one in hourly if not str(one["skuName"]).endswith((" Spot", " Low Priority"))
    ]
    if not (dedicated and spot):
        what = "price" if not dedicated else "price of Spot nodes"
        raise InputError(
            f"{vm_size}: Azure's list of prices has no {what} for it in {region!r}; expected a size and a "
            "region by Azure's names, such as Standard_D2s_v5 and westeurope"
        )
    return RegionPrice(region, vm_size, max(dedicated), max(spot), today)


def _items(url: str) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of the list, page by page."""
    following: str | None = url
    while following:
        if _host(following) != _host(url):
            raise InputError(
                f"{_host(url)}: the list of prices goes on at {_host(following)!r}, another host"
            )
        try:
            # Of the same scheme as the first address.
            with urlopen(following, timeout=_TIMEOUT_SECONDS) as answer:  # nosec B310
                page = json.load(answer)
        except (URLError, TimeoutError, json.JSONDecodeError) as error:
            raise InputError(
                f"{url.partition('?')[0]}: the list of prices cannot be read ({error}); write the prices of "
                "your region into jobs.costs.prices by hand"
            ) from None
        yield from page.get("Items", [])
        following = page.get("NextPageLink")


def _host(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.hostname}"
