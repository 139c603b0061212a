// Sorts tables by their heads, and hides what the filter does not name. Without it the page is whole, in its own order.
"use strict";
{
  const collator = new Intl.Collator("en", { numeric: true });

  // what a row is sorted by in a column: a number where there is one, else its text
  const value = (row, column) => {
    let at = 0;
    for (const cell of row.cells) {
      if (at >= column) return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
      at += cell.colSpan;
    }
    return "";
  };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return collator.compare(a, b);
  };

  // "-" says that there is no figure: last, in whichever direction
  const missing = key => key === "-" || key === "";

  const sort = (table, head) => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    const column = [...head.parentNode.cells].indexOf(head);
    const bodies = [...table.tBodies];
    const units = bodies.length > 1 ? bodies : [...bodies[0].rows];
    const keyed = units.map(unit => [value(unit.rows ? unit.rows[0] : unit, column), unit]);
    keyed.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : (descending ? -1 : 1) * compare(a, b)));
    units[0].parentNode.append(...keyed.map(([, unit]) => unit));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };

  for (const head of document.querySelectorAll("table.sortable thead th.sorts")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head.closest("table"), head));
    head.append(button);
  }

  const filter = document.querySelector("#filter");
  const field = filter.querySelector("input");
  const said = filter.querySelector("output");
  const parts = [...document.querySelectorAll("[data-topology]")].filter(part => part.dataset.topology);
  const names = new Set(parts.map(part => part.dataset.topology));

  const show = () => {
    const words = field.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const wanted = name => !words.length || words.some(word => name.toLowerCase().includes(word));
    for (const part of parts) part.hidden = !wanted(part.dataset.topology);
    const count = [...names].filter(wanted).length;
    said.textContent = words.length ? `${count} of ${names.size}` : "";
  };

  if (names.size > 1) {
    filter.hidden = false;
    field.addEventListener("input", show);
    filter.addEventListener("submit", event => event.preventDefault());
  }
}
