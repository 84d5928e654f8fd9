"""What l402-requests bought outlives a restart of the server, and so does what was spent of it."""

import os
import signal
import socket
import stat
import subprocess
import tempfile
from contextlib import contextmanager

from l402_requests import L402Client
from l402_requests.wallets.lnd import LndWallet

from seen import expect, paid, run, saw


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(folder: str, api: int, wallet: int, end: signal.Signals):
    options = ["--route", "GET /thrice/{*rest}=15;uses=3", "--route", "GET /hour/{*rest}=15;for=3600", "--store", folder]
    command = [os.environ["PAID_API"], *options, "--listen", f"127.0.0.1:{api}", "--wallet", f"127.0.0.1:{wallet}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        expect(any(line.startswith("wallet ") for line in server.stdout), "a server that starts")
        yield
    finally:
        server.send_signal(end)
        ended = server.wait(timeout=20)
    expect(ended == (0 if end != signal.SIGKILL else -9), f"a clean end, not {ended}")


def script() -> None:
    api, wallet = free_port(), free_port()
    client = L402Client(wallet=LndWallet(f"http://127.0.0.1:{wallet}", "00"))
    url = f"http://127.0.0.1:{api}"
    with tempfile.TemporaryDirectory() as folder:
        for number, end in enumerate([signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM], 1):
            with serving(folder, api, wallet, end):
                paid(client.get(f"{url}/thrice/x/{number}"), "l402")
                paid(client.get(f"{url}/hour/x/{number}"), "l402")
            # three uses and the hour are paid once; the fourth use is paid anew
            expect(len(client.spending_log) == (2 if number <= 3 else 3), f"no payment in vain after {number} starts")
        secret = os.stat(f"{folder}/master-secret")
        expect(stat.S_IMODE(secret.st_mode) == 0o600 and secret.st_size == 32, "a secret that only its owner reads")
    saw("three uses over three starts; SIGTERM, SIGINT and SIGKILL")


run(script)
