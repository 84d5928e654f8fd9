"""The server's half of `exact` on Lightning as plug-ins for x402: a resource server's, and a facilitator's."""

import hashlib
import re
import time

from x402.schemas import AssetAmount, SettleResponse, VerifyResponse

from lnbtc import request_hash, request_text


class LnbtcServer:
    """Charges for requests. `issue` makes an invoice: of this amount, for this time, with the hash of this text."""

    scheme = "exact"
    default_asset_transfer_method = "bolt11"
    payment_flows = {"bolt11": {"supported": ("upfront",), "default": "upfront"}}
    dynamic_extra_fields = ["invoice"]

    def __init__(self, issue, origin: str) -> None:
        self._issue = issue
        self._origin = origin

    async def _bound(self, context) -> tuple[str, str, bytes]:
        """What is bound: the configured origin, the target as it came, and the body. x402's adapter does not read bodies."""
        request = context.adapter._request
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        return request.method, self._origin + target, await request.body()

    def price(self, amount: str):
        """The price of each request to a route, in millisatoshi."""

        async def of(context) -> AssetAmount:
            extra = {
                "requestHash": request_hash(*await self._bound(context)),
                "requestBindingProfile": "http:1",
                "requestBindingParams": {"headers": []},
            }
            return AssetAmount(asset="BTC", amount=amount, extra=extra)

        return of

    def parse_price(self, price, network):
        return price

    def enhance_payment_requirements(self, requirements, supported_kind, extensions):
        return requirements

    async def enrich_payment_required_response(self, context):
        request = context.transport_context.request
        for asked in context.requirements:
            # A request that comes with a proof is matched without an invoice, and costs no new one.
            if not request.payment_header:
                text = request_text(*await self._bound(request))
                asked.extra["invoice"] = await self._issue(asked.amount, asked.max_timeout_seconds, text)
        return context.requirements


class LnbtcFacilitator:
    """Settles proofs for invoices that it was told of when they were made. So it needs to decode none."""

    scheme = "exact"
    caip_family = "lnbtc:*"

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, str, str, float]] = {}
        self._spent: set[str] = set()

    def made(self, invoice: str, payment_hash: str, amount: str, seconds: int, text: str) -> None:
        """Remembers an invoice, and for which request it is."""
        bound = hashlib.sha256(text.encode()).hexdigest()
        self._made[invoice] = (payment_hash, amount, bound, time.time() + seconds + 60)

    def get_extra(self, network):
        return {"assetTransferMethod": "bolt11", "paymentFlow": "upfront"}

    def get_signers(self, network):
        return []

    def verify(self, payload, requirements, context=None):
        return VerifyResponse(is_valid=False, invalid_reason="invalid_exact_lnbtc_payment_flow")

    def settle(self, payload, requirements, context=None):
        network = requirements.network
        refusal = self._refusal(payload, requirements)
        if refusal:
            return SettleResponse(success=False, error_reason=refusal, transaction="", network=network)
        payment_hash = self._made[payload.accepted.extra["invoice"]][0]
        self._spent.add(payment_hash)
        return SettleResponse(success=True, transaction=payment_hash, network=network)

    def _refusal(self, payload, requirements) -> str | None:
        made = self._made.get(payload.accepted.extra.get("invoice", ""))
        if not made:
            return "invalid_exact_lnbtc_invoice_missing"
        payment_hash, amount, bound, until = made
        preimage = payload.payload.get("preimage")
        if bound != requirements.extra["requestHash"]:
            return "invalid_exact_lnbtc_invoice_request_mismatch"
        if amount != requirements.amount:
            return "invalid_exact_lnbtc_invoice_amount_mismatch"
        if not isinstance(preimage, str) or not re.fullmatch("[0-9a-f]{64}", preimage):
            return "invalid_exact_lnbtc_preimage_malformed"
        if hashlib.sha256(bytes.fromhex(preimage)).hexdigest() != payment_hash:
            return "invalid_exact_lnbtc_preimage_hash_mismatch"
        if time.time() > until:
            return "invalid_exact_lnbtc_invoice_expired"
        return "duplicate_settlement" if payment_hash in self._spent else None
