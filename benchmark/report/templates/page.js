"use strict";

// A click on a column's name sorts by it: ascending, descending, and as in the study again.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.querySelectorAll("th[data-column]")];
  const original = [...table.tBodies[0].rows];
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[head.getAttribute("aria-sort") || "none"];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (order !== "none") head.setAttribute("aria-sort", order);
      table.tBodies[0].append(...sorted(original, head, order));
    });
  }
}

function sorted(rows, head, order) {
  if (order === "none") return rows;
  const sign = order === "ascending" ? 1 : -1;
  const key = head.dataset.numeric === "yes" ? number : text;
  const keyed = rows.map((row) => [key(row.cells[Number(head.dataset.column)]), row]);
  keyed.sort(([one], [other]) => compare(one, other, sign));
  return keyed.map(([, row]) => row);
}

// What is missing comes last in either order.
function compare(one, other, sign) {
  if (one === null || other === null) return (one === null) - (other === null);
  return sign * (typeof one === "number" ? one - other : one.localeCompare(other, "en"));
}

function number(cell) {
  return cell.dataset.number ? Number(cell.dataset.number) : null;
}

function text(cell) {
  return cell.textContent.trim() || null;
}
