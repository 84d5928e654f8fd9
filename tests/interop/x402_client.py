"""x402 pays over httpx, with our plug-in for `exact` on Lightning."""

import asyncio

import httpx
from x402 import x402Client
from x402.http.clients import x402_httpx_transport
from x402.http.utils import decode_payment_required_header, decode_payment_response_header

from lnbtc import LnbtcClient
from seen import API, WALLET, expect, paid, run, saw


async def paying() -> None:
    challenge = httpx.get(f"{API}/weather/oslo")
    required = decode_payment_required_header(challenge.headers["payment-required"])
    expect(required.resource.url == f"{API}/weather/oslo", "the URL that was asked for")
    saw("PAYMENT-REQUIRED parsed")

    lnbtc = LnbtcClient(WALLET)
    client = x402Client()
    client.register("lnbtc:*", lnbtc)
    asset = {"network": "lnbtc:*", "asset": "BTC", "max_amount_per_payment": "50000"}
    client.set_spend_controls({"allowed_assets": [asset]})
    transport = x402_httpx_transport(client, lnbtc.watching(httpx.AsyncHTTPTransport()))
    async with httpx.AsyncClient(transport=transport) as http:
        for answer in [
            await http.get(f"{API}/weather/oslo?unit=c&day=1"),
            await http.post(f"{API}/render", json={"frames": 1}),
        ]:
            paid(answer, "x402")
            settled = decode_payment_response_header(answer.headers["payment-response"])
            expect(settled.success and len(settled.transaction) == 64, f"a settlement, not {settled}")
            expect(settled.payer is None and settled.network.startswith("lnbtc:"), "a network and no payer")
    saw("PAYMENT-RESPONSE parsed")
    expect(lnbtc.payments == 2, f"two payments, not {lnbtc.payments}")


run(lambda: asyncio.run(paying()))
