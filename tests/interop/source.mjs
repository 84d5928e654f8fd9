// What the servers of other projects share: the node of the test that started them, and their way of saying where they listen.
const { INVOICES } = process.env;

/** Makes an invoice: `{ msat, seconds, text }`, or `hashed` for the bytes of a description hash. */
export async function issue(order) {
  const answer = await fetch(INVOICES, { method: "POST", body: JSON.stringify(order) });
  if (!answer.ok) throw new Error(`no invoice: ${await answer.text()}`);
  return answer.json();
}

/** Serves on a free port, and prints where. */
export function listen(app) {
  return new Promise((resolve) => {
    const listener = app.listen(0, "127.0.0.1", () => {
      const origin = `http://127.0.0.1:${listener.address().port}`;
      console.log(`> ${origin}`);
      resolve(origin);
    });
  });
}
