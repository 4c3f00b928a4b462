// The page's own check of a draw, against draws that the server's code made.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// Node takes a bare .js for CommonJS; the browser takes it for what it is.
const source = readFileSync(new URL("../verify.js", import.meta.url), "utf8");
const { verifyProof } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

for (const file of ["true-draws.json", "changed-draws.json"]) {
  const cases = JSON.parse(readFileSync(new URL(`vectors/${file}`, import.meta.url)));
  for (const { what, draw, proof, number, fails } of cases) {
    test(`${file}: ${what}`, async () => {
      const { ok, checks } = await verifyProof(draw, proof, number);
      const failed = checks.filter((check) => !check.ok).map((check) => check.name);
      assert.deepEqual(failed, fails);
      assert.equal(ok, fails.length === 0);
    });
  }
}
