"""A FastAPI server of the official kind, with plug-ins for `exact` on Lightning."""

import os
import socket

import httpx
import uvicorn
from fastapi import FastAPI, Request
from x402 import x402Facilitator, x402ResourceServer
from x402.http.middleware.fastapi import payment_middleware
from x402.http.types import PaymentOption, RouteConfig

from lnbtc_server import LnbtcFacilitator, LnbtcServer

INVOICES, NETWORK, PAYTO = os.environ["INVOICES"], os.environ["NETWORK"], os.environ["PAYTO"]

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
origin = f"http://127.0.0.1:{listener.getsockname()[1]}"

settling = LnbtcFacilitator()


async def issue(amount: str, seconds: int, text: str) -> str:
    order = {"msat": int(amount), "seconds": seconds, "hashed": text.encode().hex()}
    async with httpx.AsyncClient() as client:
        made = (await client.post(INVOICES, json=order)).raise_for_status().json()
    settling.made(made["invoice"], made["paymentHash"], amount, seconds, text)
    return made["invoice"]


charging = LnbtcServer(issue, origin)
server = x402ResourceServer(x402Facilitator().register([NETWORK], settling)).register(NETWORK, charging)
costs = PaymentOption(scheme="exact", network=NETWORK, pay_to=PAYTO, max_timeout_seconds=120, price=charging.price("25000"))

app = FastAPI()
app.middleware("http")(payment_middleware({"POST /render": RouteConfig(accepts=costs)}, server))


@app.post("/render")
async def render(request: Request, size: str) -> dict:
    return {"size": size, "length": len(await request.body())}


print(f"> {origin}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
