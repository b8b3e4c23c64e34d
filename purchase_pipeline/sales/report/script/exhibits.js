// The exhibits of a selection, as exhibits.py and month_exhibits.py build them; null where there is nothing to show.

const TOP = 10;
const MOST_BARS = 12;
const MOST_ROWS = 100;
const STEPS = 5;
const MOST_PANELS = 6;

const cell = (text, number = "") => ({ text, number: String(number) });
const exactly = (digits) => {
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const format = new Intl.NumberFormat("en-US", { ...places, useGrouping: false, roundingMode: "halfEven" });
  return (value) => format.format(value);
};
const inCents = exactly(2);
const inMillionths = exactly(6);

function makers(texts) {
  const formats = formatsOf(texts);
  const count = (value) => cell(formats.number(value), value);
  const money = (value) => cell(formats.money(value), inCents(value));
  const percent = (value) => cell(formats.percent(value), inMillionths(value));
  const tip = (name, row) => [
    name,
    `${texts.revenue}: ${formats.money(row.cents / 100)}`,
    `${texts.purchases}: ${formats.number(row.purchases)}`,
    `${texts.ticket}: ${formats.money(ticket(row))}`,
  ].join("\n");
  const monthCell = (month) => cell(formats.month(month), month);
  const say = (words, ordered, facts) => {
    const made = claim(ordered);
    return filled(made === "leads" ? words.finding : texts.claims[made], facts);
  };
  const sums = (row, all) => [
    count(row.purchases), money(row.cents / 100), money(ticket(row)), percent(ratioOf(row.cents, all)),
  ];
  return { texts, formats, count, money, percent, tip, monthCell, say, sums };
}

const ends = (rows, written) => ({
  best: rows[0].name, second: rows[Math.min(1, rows.length - 1)].name,
  most: written(rows[0]), least: written(rows.at(-1)),
});

function bars(make, rows, value, written) {
  const longest = Math.max(...rows.map(value));
  return {
    marks: rows.map((row) => ({
      name: row.name, value: ratioOf(value(row), longest),
      written: written(value(row)), tip: make.tip(row.name, row),
    })),
  };
}

function tiles(make, rows, value, written, end) {
  const most = value(rows[0]);
  const step = (row) => Math.min(Math.trunc(Math.sqrt(ratioOf(value(row), most)) * STEPS), STEPS - 1);
  const marks = [...rows].sort((one, other) => compared(one.name, other.name)).filter((row) => data.tiles[row.name])
    .map((row) => ({
      name: data.tiles[row.name][0], value: 1, written: written(row), tip: make.tip(row.name, row),
      paint: `step-${step(row)}`, x: data.tiles[row.name][1],
    }));
  const notes = [{ kind: "least", x: 0, y: 0, text: "0" }, { kind: "most", x: 0, y: 0, text: end(most) }];
  return { marks, notes: marks.length ? notes : [] };
}

function ranked(make, figures, rows, words, top = MOST_BARS) {
  if (!rows.length) return null;
  const { formats } = make;
  const revenue = estimatesOf(figures).revenue;
  return {
    finding: make.say(words, rows.map((row) => revenue(row.cents)), {
      ...ends(rows, (row) => formats.shortMoney(row.cents / 100)),
      share: formats.percent(ratioOf(rows[0].cents, figures.cents)),
      count: rows.slice(0, top).length,
      together: formats.percent(ratioOf(total(rows.slice(0, top), "cents"), figures.cents)),
    }),
    charts: [bars(make, rows.slice(0, top), (row) => row.cents / 100, formats.shortMoney)],
    rows: rows.map((row) => [cell(row.name), ...make.sums(row, figures.cents)]),
  };
}

function tickets(make, figures, unordered, words) {
  const rows = [...unordered].sort((one, other) => ticket(other) - ticket(one) || compared(one.name, other.name));
  if (!rows.length) return null;
  const estimate = estimatesOf(figures).ticket;
  return {
    finding: make.say(words, rows.map(estimate), ends(rows, (row) => make.formats.money(ticket(row)))),
    charts: [bars(make, rows.slice(0, MOST_BARS), ticket, make.formats.money)],
    rows: rows.map((row) => [cell(row.name), ...make.sums(row, figures.cents)]),
    ordered: rows,
  };
}

const namedStores = (make, figures) =>
  figures.stores.map((row) => ({ ...row, name: filled(make.texts.store, { name: row.name }) }));

const exhibits = {
  categories: (make, figures) => ranked(make, figures, figures.categories, make.texts.categories),
  payments: (make, figures) => ranked(make, figures, figures.payments, make.texts.payments),
  brands: (make, figures) => ranked(make, figures, figures.brands, make.texts.brands, TOP),
  stores: (make, figures) => ranked(make, figures, namedStores(make, figures), make.texts.stores),
  store_tickets: (make, figures) => tickets(make, figures, namedStores(make, figures), make.texts.store_tickets),

  products(make, figures) {
    const shown = ranked(make, figures, figures.topProducts, make.texts.products, TOP);
    const rows = figures.topProducts.map((row) =>
      [cell(row.name), cell(row.row.name[1]), ...make.sums(row, figures.cents)]);
    return shown && { ...shown, rows };
  },

  states(make, figures) {
    const shown = ranked(make, figures, figures.states, make.texts.states);
    if (!shown) return null;
    const { number, scale, shortMoney } = make.formats;
    const unit = scale(figures.states[0].cents / 100);
    const written = (row) => number(row.cents / 100 / unit.size, unit.digits);
    const chart = tiles(make, figures.states, (row) => row.cents / 100, written, shortMoney);
    return { ...shown, title: filled(make.texts.states.title, { unit: unit.name }), charts: [chart] };
  },

  state_tickets(make, figures) {
    const shown = tickets(make, figures, figures.states, make.texts.state_tickets);
    const { number } = make.formats;
    return shown && { ...shown, charts: [tiles(make, shown.ordered, ticket, (row) => number(ticket(row)), number)] };
  },

  ages(make, figures) {
    const { formats, texts } = make;
    const bands = grouped(figures.customers, (row) => row.name[1])
      .map(({ name, row }) => ({
        name, from: row.name[0],
        customers: total(figures.customers.filter((each) => each.name[1] === name && !each.name[2]), "purchases"),
      })).sort((one, other) => one.from - other.from);
    if (!figures.newCustomers) return null;
    const largest = Math.max(...bands.map((band) => band.customers));
    const share = (band) => ratioOf(band.customers, figures.newCustomers);
    const ordered = [...bands].sort((one, other) => other.customers - one.customers || one.from - other.from);
    return {
      finding: make.say(texts.ages, ordered.map((band) => countOf(band.customers)), {
        ...ends(ordered, (band) => formats.number(band.customers)),
        count: formats.number(ordered[0].customers), share: formats.percent(share(ordered[0])),
      }),
      charts: [{
        marks: bands.map((band) => ({
          name: band.name, value: ratioOf(band.customers, largest), written: formats.percent(share(band)),
          tip: `${band.name}\n${texts.customers}: ${formats.number(band.customers)}`,
        })),
      }],
      rows: bands.map((band) => [cell(band.name, band.from), make.count(band.customers), make.percent(share(band))]),
    };
  },
};
