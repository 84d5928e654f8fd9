"""What a script was told, and how it reports."""

import os
import sys
import traceback

API, WALLET = os.environ["API"], os.environ["WALLET"]

_lines: list[str] = []


def expect(so: bool, what: str) -> None:
    if not so:
        raise AssertionError(f"expected {what}")


def saw(what: str) -> None:
    _lines.append(what)


def paid(answer, dialect: str) -> dict:
    """Checks that an answer was paid for in this dialect."""
    expect(answer.status_code == 200, f"200, not {answer.status_code}: {answer.text}")
    receipt = answer.json()["receipt"] or ""
    expect(f" paid by {dialect} " in receipt, f"a receipt of {dialect}, not {receipt}")
    saw(receipt.split(" for ")[0])
    return answer.json()


def run(script) -> None:
    try:
        script()
    except Exception:
        print(" | ".join(traceback.format_exc().strip().splitlines()[-4:]))
        sys.exit(1)
    print("; ".join(dict.fromkeys(_lines)))
