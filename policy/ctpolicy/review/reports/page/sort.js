"use strict";
// Tables sort by the column whose button is pressed: up, down, and as they were. Nothing here makes markup of text.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const asTheyWere = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const order = new Intl.Collator("en", { numeric: true });

  const sort = (column, direction) => {
    const keyed = asTheyWere.map((row) => [key(row, column), row]);
    if (direction !== "none") {
      const sign = direction === "ascending" ? 1 : -1;
      keyed.sort(([one], [other]) => sign * order.compare(one, other));
    }
    body.append(...keyed.map(([, row]) => row));
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "none" };
      const direction = next[head.getAttribute("aria-sort")] ?? "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (direction !== "none") {
        head.setAttribute("aria-sort", direction);
      }
      sort(column, direction);
    });
  });
}

// Paper cannot be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
