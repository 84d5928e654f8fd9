"""Creates the wallet of a new LND for `scripts/nodes`. LND is locked after each start from then on.

Usage: `wallet.py ADDRESS`. Prints the wallet's password, which is secret, in base64.
"""

import base64
import json
import secrets
import ssl
import sys
import urllib.request


def call(path, body=None):
    request = urllib.request.Request(sys.argv[1] + path, body and json.dumps(body).encode())
    # It is on this machine, and its certificate is its own.
    trust = ssl._create_unverified_context()
    with urllib.request.urlopen(request, context=trust, timeout=20) as answer:
        return json.load(answer)


password = base64.b64encode(secrets.token_hex(16).encode()).decode()
seed = call("/v1/genseed")["cipher_seed_mnemonic"]
call("/v1/initwallet", {"wallet_password": password, "cipher_seed_mnemonic": seed})
print(password)
