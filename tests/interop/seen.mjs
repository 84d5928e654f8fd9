// What a script was told, and how it reports.

export const [api, wallet] = [process.env.API, process.env.WALLET];

const lines = [];

/** Fails unless it is so; says what was seen otherwise. */
export function expect(so, what) {
  if (!so) throw new Error(`expected ${what}`);
}

/** Notes one thing that went as it should. */
export function saw(what) {
  lines.push(what);
}

/** A form with a file, as a page uploads it. */
export function form() {
  const data = new FormData();
  data.append("frames", "1");
  data.append("scene", new Blob(["pixels"]), "scene.txt");
  return data;
}

/** Checks that an answer was paid for in this dialect, and returns its JSON. */
export async function paid(answer, dialect) {
  const body = await answer.text();
  expect(answer.status === 200, `200, not ${answer.status}: ${body}`);
  const { receipt } = JSON.parse(body);
  expect(receipt?.includes(` paid by ${dialect} `), `a receipt of ${dialect}, not ${receipt}`);
  saw(receipt.split(" for ")[0]);
  return JSON.parse(body);
}

/** Runs a script and prints its one line. */
export async function run(script) {
  try {
    await script();
    console.log([...new Set(lines)].join("; "));
    process.exit(0);
  } catch (error) {
    if (error?.cause) console.error(error.cause);
    console.log(String(error?.stack ?? error).split("\n").slice(0, 4).join(" | "));
    process.exit(1);
  }
}
