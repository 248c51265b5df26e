// Makes tables sortable and filterable, and shows at once what a point of a figure is. Without it, all is there to read.
"use strict";
(() => {
  // The value of a cell: its exact number, or its text; null if it is empty, NaN, or has no result.
  const value = (cell) => {
    if (cell.dataset.v === undefined) return cell.classList.contains("none") || cell.textContent === "" ? null : cell.textContent;
    const number = Number(cell.dataset.v);
    return Number.isNaN(number) ? null : number;
  };

  // Numbers come before texts, and cells without a value last in both directions.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    if (typeof a === "number") return sign * (a < b ? -1 : a > b ? 1 : 0);
    return sign * a.localeCompare(b, undefined, { numeric: true });
  };

  const sort = (table, column, head) => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
    rows.sort((a, b) => compare(a[0], b[0], descending ? -1 : 1));
    body.append(...rows.map((pair) => pair[1]));
  };

  // The terms of the dashboard's filter: a part of a row, or a name, a relation and values, as `e>=3` or `scale=own,none`.
  const relations = {
    "=": (order) => order === 0, "!=": (order) => order !== 0, "<": (order) => order < 0, ">": (order) => order > 0,
    "<=": (order) => order <= 0, ">=": (order) => order >= 0,
  };
  const order = (found, wanted) => {
    const [a, b] = [Number(found), Number(wanted)];
    if (found !== "" && wanted !== "" && !Number.isNaN(a) && !Number.isNaN(b)) return a - b || 0;
    return String(found).toLowerCase() === wanted ? 0 : NaN;
  };
  const parse = (text) => text.toLowerCase().split(/\s+/).filter(Boolean).map((term) => {
    const parts = term.match(/^([^=<>!]+)(>=|<=|!=|=|<|>)(.*)$/);
    return parts ? { name: parts[1], relation: parts[2], values: parts[3].split(",") } : { word: term };
  });
  // A name means the column of that name, else the only column that starts with it.
  const place = (names, name) => {
    const whole = names.indexOf(name);
    if (whole >= 0) return whole;
    const starts = names.map((other, at) => [other, at]).filter(([other]) => other.startsWith(name));
    return starts.length === 1 ? starts[0][1] : -1;
  };
  const holds = (row, names, term) => {
    if (term.word !== undefined) return [...row.cells].some((cell) => cell.textContent.toLowerCase().includes(term.word));
    const cell = row.cells[place(names, term.name)];
    const found = cell ? value(cell) : null;
    if (found === null) return false;
    const orders = term.values.map((wanted) => order(found, wanted));
    return term.relation === "!=" ? orders.every((one) => one !== 0) : orders.some(relations[term.relation]);
  };
  const filter = (table, text, count) => {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.toLowerCase());
    const terms = parse(text);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !terms.every((term) => holds(row, names, term));
      shown += !row.hidden;
    }
    count.textContent = terms.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
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
    field.placeholder = "filter: a word of a row, axis=value, value>0.9";
    field.setAttribute("aria-label", "filter rows");
    const count = document.createElement("span");
    count.className = "count";
    count.setAttribute("role", "status");
    let waiting = 0;
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => filter(table, field.value, count), 80);
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
  // Points can be reached with the Tab key; their names for screen readers are in `aria-label`.
  document.addEventListener("focusin", (event) => {
    const under = event.target.closest?.(".dot");
    if (!under) return;
    const place = under.getBoundingClientRect();
    show(under, place.right, place.bottom);
  });
  document.addEventListener("focusout", () => { tip.style.display = "none"; });
  const dot = (event) => (event.target instanceof Element ? event.target.closest(".dot") : null);
  document.addEventListener("pointermove", (event) => {
    const under = dot(event);
    if (under) show(under, event.clientX, event.clientY);
    else tip.style.display = "none";
  });
})();
