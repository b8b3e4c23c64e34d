// Tables: sorted by a press on a header, and saved as CSV with the exact numbers.

function makeSortable(table, texts) {
  for (const header of table.tHead.rows[0].cells) {
    header.removeAttribute("aria-sort");
    const name = header.textContent;
    const button = element("button", { type: "button", title: filled(texts.filters.sort, { header: name }) }, name);
    button.addEventListener("click", () => sortBy(table, header));
    header.replaceChildren(button);
  }
}

function sortBy(table, header) {
  const direction = header.ariaSort === "ascending" ? "descending" : "ascending";
  const place = header.cellIndex;
  const language = header.closest("[lang]").lang;
  const factor = direction === "ascending" ? 1 : -1;
  const numeric = (value) => value !== undefined && value.trim() !== "" && !Number.isNaN(Number(value));
  const order = (one, other) => {
    const [a, b] = [one, other].map((row) => row.cells[place].dataset.number ?? row.cells[place].textContent);
    if (numeric(a) && numeric(b)) return factor * (Number(a) - Number(b));
    return factor * a.localeCompare(b, language, { numeric: true });
  };
  table.tBodies[0].replaceChildren(...[...table.tBodies[0].rows].sort(order));
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.ariaSort = direction;
}

/** Quote a field; a text that a spreadsheet would run as a formula gets a leading apostrophe. */
function csvField(text, isText) {
  const safe = isText && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvOf(table) {
  return [...table.rows].map((row) => [...row.cells].map((each) => {
    const { number } = each.dataset;
    return number === undefined || each.scope === "row" ? csvField(each.textContent, true) : csvField(number, false);
  }).join(",")).join("\r\n") + "\r\n";
}

function useTables() {
  for (const table of document.querySelectorAll("article table")) {
    makeSortable(table, data.texts[table.closest("article").lang]);
  }
  for (const button of document.querySelectorAll(".csv")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const table = button.previousElementSibling.querySelector("table");
      const name = `${button.closest("[data-key]")?.dataset.key ?? "batches"}.csv`;
      const url = URL.createObjectURL(new Blob(["\ufeff", csvOf(table)], { type: "text/csv" }));
      element("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url));
    });
  }
}
