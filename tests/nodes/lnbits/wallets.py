"""Sets up a new LNbits for `scripts/nodes`: its administrator, and two wallets with money.

Usage: `wallets.py ADDRESS`. Prints two lines, `NAME ADMIN_KEY INVOICE_KEY`, which are secrets.
"""

import json
import secrets
import sys
import urllib.request

SATOSHIS = 1_000_000


def call(method, path, body, **headers):
    request = urllib.request.Request(
        sys.argv[1] + path,
        method=method,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


password = secrets.token_hex(16)
admin = call(
    "PUT",
    "/api/v1/auth/first_install",
    {"username": "admin", "password": password, "password_repeat": password},
)
bearer = "Bearer " + admin["access_token"]
for name in ("A", "B"):
    wallet = call("POST", "/api/v1/wallet", {"name": name}, authorization=bearer)
    call("PUT", "/users/api/v1/balance", {"id": wallet["id"], "amount": SATOSHIS}, authorization=bearer)
    print(name, wallet["adminkey"], wallet["inkey"])
