// Makes tables sortable and filterable, and shows at once what a point of a figure is. Without it, all is there to read.
"use strict";
(() => {
  const number = (text) => { const value = parseFloat(text.replace("−", "-")); return Number.isNaN(value) ? null : value; };

  // Numbers come in their order, before texts; what is not there comes last either way.
  const compare = (a, b, sign) => {
    if (a === "" || b === "" || a === "…" || b === "…") {
      const empty = (text) => text === "" || text === "…";
      return empty(a) - empty(b);
    }
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null || y !== null) return sign * ((y !== null) - (x !== null));
    return sign * a.localeCompare(b, undefined, { numeric: true });
  };

  const sort = (table, column, head) => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [row.cells[column].textContent, row]);
    rows.sort((a, b) => compare(a[0], b[0], descending ? -1 : 1));
    body.append(...rows.map((pair) => pair[1]));
  };

  // Every word must be in a row: a part of a cell, or `axis=value` for a whole one.
  const filter = (table, texts, words, count) => {
    let shown = 0;
    [...table.tBodies[0].rows].forEach((row) => {
      if (!texts.has(row)) {
        const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
        const cells = [...row.cells].map((cell) => cell.textContent);
        const named = cells.map((text, at) => ` ${heads[at]}=${text} `);
        texts.set(row, ` ${cells.join(" ")} ${named.join("")}`.toLowerCase());
      }
      const text = texts.get(row);
      const fits = words.every((word) => text.includes(word.includes("=") ? ` ${word} ` : word));
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
  };

  for (const table of document.querySelectorAll("table.data")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
    if (table.tBodies[0].rows.length < 8) continue;
    const field = document.createElement("input");
    field.type = "search";
    field.className = "filter";
    field.placeholder = "filter: words that a row has, or axis=value";
    field.setAttribute("aria-label", "filter rows");
    const count = document.createElement("span");
    count.className = "count";
    count.setAttribute("role", "status");
    const texts = new Map();
    let waiting = 0;
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => filter(table, texts, field.value.toLowerCase().split(/\s+/).filter(Boolean), count), 80);
    });
    table.closest("figure").querySelector(".tools").append(field, count);
  }

  const tip = document.createElement("div");
  tip.id = "tip";
  document.body.append(tip);
  const show = (dot, x, y) => {
    if (!dot.dataset.tip) {
      const title = dot.querySelector("title");
      if (!title) return;
      // The browser's own comes late, and beside ours.
      dot.dataset.tip = title.textContent;
      title.remove();
    }
    tip.textContent = dot.dataset.tip;
    tip.style.display = "block";
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - tip.offsetHeight - 8))}px`;
  };
  const dot = (event) => (event.target instanceof Element ? event.target.closest(".dot") : null);
  document.addEventListener("pointermove", (event) => {
    const under = dot(event);
    if (under) show(under, event.clientX, event.clientY);
    else tip.style.display = "none";
  });
})();
