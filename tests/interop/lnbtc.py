"""The client half of `exact` on Lightning as a plug-in for x402: checks what is asked against the request and the invoice,
pays, and answers with the preimage."""

import hashlib
import json
import re
import time

import httpx

from wallet import decode, pay_and_wait

NETWORKS = {
    "lnbtc:000000000019d6689c085ae165831e93": "bc",
    "lnbtc:000000000933ea01ad0ee984209779ba": "tb",
    "lnbtc:0f9188f13cb7b2c71f2a335e3a4fc328": "bcrt",
}


def request_text(method: str, url: str, body: bytes) -> str:
    """What a request is bound by in the profile `http:1`, without bound headers."""
    bound = {
        "bodyHash": hashlib.sha256(body).hexdigest(),
        "domain": "x402:exact:lnbtc:bolt11:http:1",
        "headers": [],
        "method": method,
        "url": url,
    }
    return json.dumps(bound, separators=(",", ":"), sort_keys=True)


def request_hash(method: str, url: str, body: bytes) -> str:
    return hashlib.sha256(request_text(method, url, body).encode()).hexdigest()


class LnbtcClient:
    scheme = "exact"

    def __init__(self, wallet: str) -> None:
        self._wallet = wallet
        self._hash = ""
        self.payments = 0

    def watching(self, inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """A transport that tells this plug-in which request is being paid for: x402 does not. One at a time."""
        plugin = self

        class Watching(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                plugin._hash = request_hash(request.method, str(request.url), await request.aread())
                return await inner.handle_async_request(request)

            async def aclose(self) -> None:
                await inner.aclose()

        return Watching()

    def create_payment_payload(self, requirements) -> dict:
        asked, extra = requirements, requirements.extra
        told = decode(self._wallet, extra["invoice"])
        currency = re.match(r"ln(bcrt|tb|bc)[0-9]", extra["invoice"])
        age = time.time() - int(told["timestamp"])
        for so, what in [
            (asked.asset == "BTC", "not bitcoin"),
            (told["num_msat"] == asked.amount, "the invoice has another amount"),
            (currency is not None and currency[1] == NETWORKS.get(asked.network), "another network"),
            (extra["paymentFlow"] == "upfront", "another payment flow"),
            (extra.get("assetTransferMethod", "bolt11") == "bolt11", "another way of transfer"),
            (extra["requestBindingProfile"] == "http:1", "another binding"),
            (extra["requestBindingParams"] == {"headers": []}, "bound headers"),
            (extra["requestHash"] == self._hash, "bound to another request"),
            (told["description_hash"] == extra["requestHash"], "the invoice is for another request"),
            (told["destination"] == asked.pay_to, "the invoice has another payee"),
            (told["expiry"] == str(asked.max_timeout_seconds), "the invoice has another expiry"),
            (-60 < age < asked.max_timeout_seconds, "the invoice is not of now"),
        ]:
            if not so:
                raise ValueError(f"will not pay: {what}")
        self.payments += 1
        preimage = pay_and_wait(self._wallet, extra["invoice"])
        if hashlib.sha256(bytes.fromhex(preimage)).hexdigest() != told["payment_hash"]:
            raise ValueError("the wallet's preimage is not the invoice's")
        return {"preimage": preimage}
