// The wallet of paid_api, seen from JavaScript.

/** Pays an invoice and returns the preimage as hex. */
export async function pay(wallet, invoice) {
  const answer = await fetch(`${wallet}/v2/router/send`, {
    method: "POST",
    headers: { "Grpc-Metadata-macaroon": "00" },
    body: JSON.stringify({ payment_request: invoice, timeout_seconds: 30, fee_limit_sat: "0" }),
  });
  const lines = (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
  const last = lines.at(-1).result;
  if (last?.status !== "SUCCEEDED") throw new Error(`not paid: ${JSON.stringify(lines.at(-1))}`);
  return last.payment_preimage;
}

/** What an invoice says. */
export async function decode(wallet, invoice) {
  const answer = await fetch(`${wallet}/v1/payreq/${invoice}`);
  if (!answer.ok) throw new Error(`no invoice: ${await answer.text()}`);
  return answer.json();
}
