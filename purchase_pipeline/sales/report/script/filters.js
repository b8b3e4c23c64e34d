// The filters, and what they change on the page: headline figures, findings, charts and tables of both languages.

function element(tag, attributes, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

function markElement(mark) {
  const made = element("li", { class: mark.paint ?? "", title: mark.tip },
    element("span", { class: "n" }, mark.name), element("span", { class: "w" }, mark.written));
  made.style.setProperty("--v", mark.value);
  made.style.setProperty("--x", mark.x ?? "");
  return made;
}

function noteElement(note) {
  const made = element("span", { class: `note-${note.kind}` }, note.text);
  made.style.setProperty("--x", note.x);
  made.style.setProperty("--y", note.y);
  return made;
}

const pointsOf = (marks) => marks.map((mark) => `${mark.x * 100},${100 - mark.value * 100}`).join(" ");

function drawChart(place, chart) {
  place.querySelector(".marks").replaceChildren(...chart.marks.map(markElement));
  place.querySelector(".notes").replaceChildren(...(chart.notes ?? []).map(noteElement));
  place.querySelector("polyline")?.setAttribute("points", pointsOf(chart.marks));
  if (chart.title) {
    const [title, subtitle] = place.querySelectorAll(".panel-title span");
    title.textContent = chart.title;
    subtitle.textContent = chart.subtitle;
    place.querySelector(".marks").setAttribute("aria-label", chart.title);
  }
}

function fillTable(figure, shown, texts) {
  const table = figure.querySelector("table");
  const { lang } = table.querySelector(".words[lang]") ?? {};
  const words = table.querySelectorAll("thead .words").length;
  if (shown.headers) {
    table.tHead.rows[0].replaceChildren(...shown.headers.map((header) => element("th", { scope: "col" }, header)));
  }
  const cellElement = (each, place) => {
    const made = element(place ? "td" : "th", place ? {} : { scope: "row" }, each.text);
    if (each.number) made.dataset.number = each.number;
    if (place < words) {
      made.className = "words";
      made.lang = lang;
    }
    return made;
  };
  const rows = shown.rows.slice(0, MOST_ROWS).map((row) => element("tr", {}, ...row.map(cellElement)));
  table.tBodies[0].replaceChildren(...rows);
  const rest = shown.rows.length - MOST_ROWS;
  const more = rest > 0 ? filled(texts.more_rows, { count: formatsOf(texts).number(rest) }) : "";
  figure.querySelector(".more").textContent = more;
  makeSortable(table, texts);
}

function showExhibit(figure, shown, texts) {
  figure.hidden = !shown;
  if (!shown) return;
  if (shown.title) figure.querySelector("h3").textContent = shown.title;
  figure.querySelector(".finding").textContent = shown.finding;
  const place = figure.querySelector(".charts");
  while (place.children.length > shown.charts.length) place.lastElementChild.remove();
  while (place.children.length < shown.charts.length) place.append(place.firstElementChild.cloneNode(true));
  shown.charts.forEach((chart, number) => drawChart(place.children[number], chart));
  fillTable(figure, shown, texts);
}

function showFact(place, fact) {
  const [value] = place.querySelectorAll("dd");
  value.textContent = fact.value;
  if (fact.name) place.querySelector("dt").textContent = fact.name;
  for (const part of ["detail", "change"]) {
    const shown = place.querySelector(`.${part}`);
    if (shown) shown.textContent = fact[part] ?? "";
  }
  place.querySelector(".course polyline")?.setAttribute("points", fact.course);
}

function describe(figures, { first, last, store }, { texts, formats }) {
  if (figures.purchases === 0) return texts.filters.nothing;
  if (figures.everything) return "";
  return filled(texts.filters.shown, {
    first: formats.month(data.months[first]),
    last: formats.month(data.months[last]),
    store: store === null ? texts.filters.all_stores : filled(texts.store, { name: data.stores[store] }),
  });
}

function showSelection(choice) {
  const { first, last, store } = choice;
  const figures = selected(first, last, store);
  for (const article of document.querySelectorAll("article")) {
    const make = makers(data.texts[article.lang]);
    const empty = figures.purchases === 0;
    article.classList.toggle("nothing", empty);
    article.querySelector(".shown").textContent = describe(figures, choice, make);
    if (empty) continue;
    const facts = headline(make, figures);
    for (const place of article.querySelectorAll("[data-fact]")) {
      if (facts[place.dataset.fact]) showFact(place, facts[place.dataset.fact]);
    }
    for (const figure of article.querySelectorAll("[data-key]")) {
      showExhibit(figure, exhibits[figure.dataset.key](make, figures), make.texts);
    }
  }
  describeMarks();
}

function useFilters() {
  const forms = [...document.querySelectorAll(".filters")];
  const everything = { first: 0, last: data.months.length - 1, store: null };
  const show = (choice) => {
    for (const form of forms) {
      form.first.selectedIndex = choice.first;
      form.last.selectedIndex = choice.last;
      form.store.value = choice.store === null ? "" : data.stores[choice.store];
    }
    showSelection(choice);
  };
  for (const form of forms) {
    form.hidden = false;
    form.last.selectedIndex = everything.last;
    form.addEventListener("change", ({ target }) => {
      let [first, last] = [form.first.selectedIndex, form.last.selectedIndex];
      if (first > last) [first, last] = target === form.first ? [first, first] : [last, last];
      show({ first, last, store: form.store.value === "" ? null : data.stores.indexOf(Number(form.store.value)) });
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      show(everything);
    });
  }
}
