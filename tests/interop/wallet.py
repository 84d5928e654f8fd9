"""The wallet of paid_api, seen from Python."""

import json

import httpx


async def pay(wallet: str, invoice: str) -> str:
    """Pays an invoice and returns the preimage as hex."""
    order = {"payment_request": invoice, "timeout_seconds": 30, "fee_limit_sat": "0"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{wallet}/v2/router/send", json=order, headers={"Grpc-Metadata-macaroon": "00"})
    return _preimage(answer)


def pay_and_wait(wallet: str, invoice: str) -> str:
    """The same, for code that does not await."""
    order = {"payment_request": invoice, "timeout_seconds": 30, "fee_limit_sat": "0"}
    return _preimage(httpx.post(f"{wallet}/v2/router/send", json=order, headers={"Grpc-Metadata-macaroon": "00"}))


def _preimage(answer: httpx.Response) -> str:
    last = json.loads(answer.text.strip().splitlines()[-1])
    if last.get("result", {}).get("status") != "SUCCEEDED":
        raise RuntimeError(f"not paid: {last}")
    return last["result"]["payment_preimage"]


def decode(wallet: str, invoice: str) -> dict:
    """What an invoice says."""
    answer = httpx.get(f"{wallet}/v1/payreq/{invoice}")
    answer.raise_for_status()
    return answer.json()
