"""l402-requests pays through its own LND adapter, synchronously and not, and reuses what may be reused."""

import asyncio

from l402_requests import AsyncL402Client, L402Client
from l402_requests.wallets.lnd import LndWallet

from seen import API, WALLET, expect, paid, run


def script() -> None:
    client = L402Client(wallet=LndWallet(WALLET, "00"))
    paid(client.get(f"{API}/weather/oslo"), "l402")
    paid(client.get(f"{API}/weather/oslo"), "l402")
    paid(client.post(f"{API}/render", json={"frames": 1}), "l402")
    expect(len(client.spending_log.records) == 3, "three payments: a spent credential is answered with a fresh challenge")

    reusing = L402Client(wallet=LndWallet(WALLET, "00"))
    for path in ("a", "b", "c"):
        paid(reusing.get(f"{API}/thrice/x/{path}"), "l402")
    expect(len(reusing.spending_log.records) == 1, "one payment for three uses")
    paid(reusing.get(f"{API}/thrice/x/d"), "l402")
    expect(len(reusing.spending_log.records) == 2, "a second payment for the fourth use")
    asyncio.run(not_waiting())


async def not_waiting() -> None:
    async with AsyncL402Client(wallet=LndWallet(WALLET, "00")) as client:
        paid(await client.get(f"{API}/weather/rome?unit=c"), "l402")


run(script)
