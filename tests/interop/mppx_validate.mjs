// `mppx validate` finds nothing wrong, behind a proxy that adds the `Accept-Payment` that it does not send.
import { spawn } from "node:child_process";
import http from "node:http";
import { expect, run, saw } from "./seen.mjs";

const api = new URL(process.env.API);
const host = new URL(process.env.ORIGIN).host;

const proxy = http.createServer((request, answer) => {
  const headers = { ...request.headers, host, "accept-payment": "lightning/charge" };
  const onward = http.request(api, { method: request.method, path: request.url, headers }, (theirs) => {
    answer.writeHead(theirs.statusCode, theirs.rawHeaders);
    theirs.pipe(answer);
  });
  onward.on("error", () => answer.destroy());
  request.pipe(onward);
});

/** What it found, as JSON. */
async function validate(url) {
  const command = ["node_modules/mppx/dist/bin.js", "validate", url, "--output-json"];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text.slice(text.indexOf("{")));
}

await run(async () => {
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
  const found = await validate(`http://127.0.0.1:${proxy.address().port}`);
  const checks = [...found.discovery.checks, ...found.endpoints.flatMap((seen) => [...seen.challenge, ...seen.errorHandling, ...seen.payment])];
  const wrong = checks.filter(({ severity }) => !["pass", "suggested"].includes(severity));
  expect(wrong.length === 0, `nothing wrong, not ${JSON.stringify(wrong)}`);
  expect(found.endpoints.length === 2, `two endpoints, not ${found.endpoints.length}`);
  saw(`${found.summary.passed} checks passed on ${found.endpoints.length} endpoints`);
});
