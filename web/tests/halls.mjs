// Halls for the tests of the seat page, in pretix's seating-plan format.

const PITCH = 25;

/** A hall of rows A, B, … with seats between aisles, drawn. */
function hall({ name, rows, blocks, details = {} }) {
  const category = (row) => (row < 2 ? "Front" : row < rows - 3 ? "Prime" : "Standard");
  const row = (r) => {
    const seats = [];
    let x = 0;
    for (const block of blocks) {
      for (let i = 0; i < block; i++, x++) {
        const number = seats.length + 1;
        seats.push({ seat_guid: `${letter(r)}${number}`, seat_number: `${number}`, position: { x: x * PITCH, y: 0 }, category: category(r) });
      }
      x++;
    }
    return { row_number: letter(r), position: { x: 0, y: r * PITCH }, seats };
  };
  const seating = {
    name,
    categories: [{ name: "Front", color: "#6b7280" }, { name: "Prime", color: "#b45309" }, { name: "Standard", color: "#2563eb" }],
    zones: [{ name: "Floor", position: { x: PITCH, y: 3 * PITCH }, rows: Array.from({ length: rows }, (_, r) => row(r)) }],
    size: { width: 600, height: 500 },
  };
  const won = (amount) => ({ amount, currency: "KRW" });
  return { seating, details: { category_prices: { Front: won(18_000), Prime: won(27_000), Standard: won(22_000) }, ...details } };
}

const letter = (row) => String.fromCharCode(65 + row);

/** Two showings: a hall of 12 rows with wheelchair places and a blocked seat,
 * and a small one. */
export function twoHalls() {
  const large = hall({
    name: "Lumen Gangnam, hall 1", rows: 12, blocks: [4, 10, 4],
    details: { kinds: { L1: "wheelchair", L2: "companion", A1: "restricted_view", A3: "house" }, blocked: { A18: "broken" } },
  });
  const small = hall({ name: "Lumen Hongdae, hall 2", rows: 4, blocks: [6] });
  const at = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();
  return {
    plans: { large: large.seating, small: small.seating },
    details: { large: large.details, small: small.details },
    showings: [
      { showing: "evening", title: "Lumen Gangnam, hall 1", starts_at: at(24), plan: "large" },
      { showing: "late", title: "Lumen Hongdae, hall 2", starts_at: at(27), plan: "small" },
    ],
  };
}
