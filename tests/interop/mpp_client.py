"""pympp pays, with a method `lightning` plugged in."""

import asyncio
import hashlib

from mpp import Credential, Receipt
from mpp.client import Mpp
from mpp.methods import Method
from mpp.runtime import ClientMethod, CredentialParams
from pydantic import BaseModel

from seen import API, WALLET, expect, paid, run, saw
from wallet import decode, pay


class Details(BaseModel):
    invoice: str
    network: str | None = None
    paymentHash: str | None = None


class Request(BaseModel):
    amount: str
    currency: str
    methodDetails: Details


class Payload(BaseModel):
    preimage: str


_payments: list[str] = []


async def create_credential(params: CredentialParams) -> str:
    asked = Request.model_validate(params.challenge.request)
    told = decode(WALLET, asked.methodDetails.invoice)
    expect(asked.currency == "sat" and told["num_msat"] == f"{asked.amount}000", f"an invoice of {asked.amount} sat")
    expect(told["payment_hash"] == asked.methodDetails.paymentHash, "the payment hash of the invoice")
    expect(asked.methodDetails.network == "regtest", "regtest")
    preimage = await pay(WALLET, asked.methodDetails.invoice)
    expect(hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == told["payment_hash"], "the invoice's preimage")
    _payments.append(told["payment_hash"])
    return Credential(challenge=params.challenge.to_echo(), payload={"preimage": preimage}).to_authorization()


async def paying() -> None:
    charge = Method(name="lightning", intent="charge", request_model=Request, payload_model=Payload)
    async with Mpp(methods=[ClientMethod(method=charge, create_credential=create_credential)]) as mpp:
        for answer in [
            await mpp.fetch(f"{API}/weather/oslo?unit=c"),
            await mpp.fetch(f"{API}/render", method="POST", json={"frames": 1}),
        ]:
            paid(answer, "mpp")
            receipt = Receipt.from_payment_receipt(answer.headers["payment-receipt"])
            expect(receipt.method == "lightning" and receipt.reference in _payments, f"a receipt, not {receipt}")
    saw("Payment-Receipt parsed")
    expect(len(_payments) == 2, f"two payments, not {len(_payments)}")


run(lambda: asyncio.run(paying()))
