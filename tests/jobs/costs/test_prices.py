"""Prices by region: looked up in a list of the published form, kept with their day, used by the plan."""

import json
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from batch_scoring.cli.jobs_plan import plan
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.costs.prices import look_up, price_of
from batch_scoring.jobs.costs.settings import CostSettings, RegionPrice


def entry(price, sku="D2s v5", product="Virtual Machines Dsv5 Series", unit="1 Hour"):
    """As the page of the API shows one; what is not read is left out."""
    return {"retailPrice": price, "skuName": sku, "productName": product, "unitOfMeasure": unit}


ENTRIES = [
    entry(0.2, product="Virtual Machines Dsv5 Series Windows"),
    entry(0.04, "D2s v5 Spot", "Virtual Machines Dsv5 Series Windows"),
    entry(0.023, "D2s v5 Low Priority"),
    entry(0.115),
    entry(0.0213, "D2s v5 Spot"),
    entry(700.0, unit="1 Month"),
]


def test_the_price_is_that_of_an_hour_of_linux_dedicated_and_spot():
    found = price_of(ENTRIES, "westeurope", "Standard_D2s_v5", "2026-11-30")
    assert found == RegionPrice("westeurope", "Standard_D2s_v5", 0.115, 0.0213, "2026-11-30")


@pytest.mark.parametrize(
    ("kept", "said"), [([], "no price for it in 'mars'"), ([ENTRIES[3]], "no price of Spot")]
)
def test_what_the_list_does_not_have_is_named(kept, said):
    with pytest.raises(InputError, match=f"^Standard_D2s_v5: Azure's list of prices has {said}"):
        price_of(kept, "mars", "Standard_D2s_v5", "2026-11-30")


@pytest.fixture
def prices():
    """A list of two pages; its address, and what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query)
            is_second = "$skip" in query
            more = f"http://127.0.0.1:{self.server.server_port}/?$skip=3"
            page = {
                "Items": ENTRIES[3:] if is_second else ENTRIES[:3],
                "NextPageLink": None if is_second else more,
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def test_the_list_is_read_to_its_last_page(prices):
    address, asked = prices
    (found,) = look_up("westeurope", ["Standard_D2s_v5"], "EUR", "2026-11-30", address)
    assert (found.dedicated, found.low_priority) == (0.115, 0.0213)
    assert asked[0]["currencyCode"] == ["EUR"] and "armRegionName eq 'westeurope'" in asked[0]["$filter"][0]
    assert len(asked) == 2


def test_a_list_that_goes_on_at_another_host_is_refused(prices):
    address, asked = prices
    with pytest.raises(InputError, match=r"goes on at 'http://127\.0\.0\.1', another host"):
        look_up("westeurope", ["D"], "EUR", "2026-11-30", address.replace("127.0.0.1", "localhost"))
    assert len(asked) == 1


def test_a_list_that_cannot_be_reached_is_one_sentence():
    with pytest.raises(
        InputError, match=r"the list of prices cannot be read .*; write the prices of your region"
    ):
        look_up("westeurope", ["Standard_D2s_v5"], "USD", "2026-11-30", "http://127.0.0.1:9/")


NODES = [{"name": "two", "tasks": 2, "dedicated": 1.0, "low_priority": 0.5, "vm_size": "Standard_D2s_v5"}]
PRICES = [
    asdict(RegionPrice("eastus", "Standard_D2s_v5", 0.3, 0.03, "2026-01-01")),
    asdict(RegionPrice("westeurope", "standard_d2S_v5", 0.4, 0.04, "2026-11-30")),
]


def test_the_region_gives_the_sizes_their_prices_and_the_plan_says_of_when():
    costs = CostSettings(nodes=NODES, prices=PRICES, region="westeurope")
    (size,) = costs.sizes
    assert (size.name, size.dedicated, size.low_priority) == ("two", 0.4, 0.04)
    assert costs.priced_as == "of westeurope, asked on 2026-11-30"
    assert CostSettings(nodes=NODES, prices=PRICES).sizes[0].dedicated == 1.0


def test_a_region_without_a_price_is_refused_with_what_to_run():
    with pytest.raises(
        InputError, match=r"no price of 'Standard_D2s_v5' in 'mars'; `kedro jobs prices --region mars`"
    ):
        CostSettings(nodes=NODES, prices=PRICES, region="mars")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dedicated": -1.0}, "prices: 'eastus'.dedicated: -1.0"),
        ({"spot": 1.0}, "price 1.spot: there is no such"),
    ],
)
def test_a_wrong_price_is_one_sentence(changed, said):
    with pytest.raises(InputError, match=said):
        CostSettings(nodes=NODES, region="eastus", prices=[PRICES[0] | changed])


@pytest.mark.slow
def test_the_command_takes_the_region_and_says_whose_prices_it_used(tmp_path):
    given = ["--jobs", "5", "--minutes", "2"]
    assert (
        "\nPrices as in jobs.costs.nodes, of no region in particular.\n"
        in CliRunner().invoke(plan, given).output
    )
    refused = CliRunner().invoke(plan, [*given, "--region", "mars"])
    assert refused.exit_code == 1 and "Error: jobs.costs.prices: there is no price of" in refused.output
