// Checks a draw on the visitor's own device, from the published data alone:
// that the seed is the one that was committed to, that the ticket was in the
// lobby's cohort, and that its number is its place in the drawn order.
// Merkle trees and audit paths are those of RFC 6962 and RFC 9162.

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const leaf = (ticket) => sha256([0], bytes(ticket));
const node = (left, right) => sha256([1], left, right);

/** The root that an audit path leads to, in hexadecimal; null when the path
 * cannot belong to a leaf at `index` of `count` (RFC 9162, section 2.1.3.2). */
export async function rootOf(ticket, index, count, path) {
  if (!Number.isInteger(index) || index < 0 || index >= count) return null;
  let [at, last, root] = [index, count - 1, await leaf(ticket)];
  for (const sibling of path.map(bytes)) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      root = await node(sibling, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else {
      root = await node(root, sibling);
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hex(root) : null;
}

/** `draw` and `proof` as the service publishes them, and the visitor's
 * number. A ticket that took a place over is proven by the one it took it
 * over from, which `proof.ticket` names. */
export async function verifyProof(draw, proof, number) {
  const check = async (name, holds) => ({ name, ok: Boolean(await holds) });
  const within = async (part, root) =>
    part !== null && (await rootOf(proof.ticket, part.index, draw.count, part.path)) === root;
  const checks = await Promise.all([
    check("seed", sha256(bytes(draw.seed)).then((hash) => hex(hash) === draw.seed_commitment)),
    check("cohort", within(proof.cohort, draw.cohort_root)),
    check("order", within(proof.order, draw.order_root)),
    check("number", proof.order?.index + 1 === number),
  ]);
  return { ok: checks.every(({ ok }) => ok), checks };
}
