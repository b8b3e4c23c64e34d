"use strict";
// The sums of the page, and those of a selection: some months and one store, or all. Amounts are whole centavos.

const data = JSON.parse(document.getElementById("figures").textContent);
const DAY = 86_400_000;

const dayNumber = (text) => Date.parse(text) / DAY;
const dateOf = (number) => new Date(number * DAY);
const monthText = (number) => dateOf(number).toISOString().slice(0, 8) + "01";

function shifted(month, months) {
  const date = new Date(month);
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1)).toISOString().slice(0, 10);
}
const lastDay = (month) => dayNumber(shifted(month, 1)) - 1;
const daysIn = (month) => lastDay(month) - dayNumber(month) + 1;

function unpacked(cut) {
  let id = 0;
  return cut.ids.map((step, row) => {
    id += step;
    const name = id % cut.names.length;
    const place = (id - name) / cut.names.length;
    const store = place % data.stores.length;
    return {
      month: (place - store) / data.stores.length,
      store,
      name: cut.names[name],
      purchases: cut.purchases[row],
      cents: cut.cents[row],
      squares: (cut.squares[row] ?? 0) / 10_000,
    };
  });
}

const cuts = data.cuts && Object.fromEntries(Object.entries(data.cuts).map(([name, cut]) => [name, unpacked(cut)]));

/** Sum rows by a key, the first key first. */
function grouped(rows, key) {
  const sums = new Map();
  for (const row of rows) {
    const name = key(row);
    const sum = sums.get(name) ?? { name, row, purchases: 0, cents: 0 };
    sum.purchases += row.purchases;
    sum.cents += row.cents;
    sums.set(name, sum);
  }
  return [...sums.values()];
}

const total = (rows, field) => rows.reduce((sum, row) => sum + row[field], 0);
const compared = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
const byRevenue = (rows) => rows.sort((one, other) => other.cents - one.cents || compared(one.name, other.name));
const ticket = (row) => (row.purchases ? row.cents / 100 / row.purchases : 0);

/** The figures of the months from first to last, as numbers, of a store, as a number, or of all (null). */
function selected(first, last, store) {
  const ofStore = (cut) => cuts[cut].filter((row) => store === null || row.store === store);
  const rows = (cut) => ofStore(cut).filter((row) => row.month >= first && row.month <= last);
  const dayRows = ofStore("day").map((row) => ({ ...row, day: dayNumber(data.months[row.month]) + row.name[0] - 1 }));
  const products = rows("product");
  const customers = rows("customers");
  const dataFirst = dayNumber(data.first);
  const dataLast = dayNumber(data.last);
  const start = Math.max(dataFirst, dayNumber(data.months[first]));
  const end = Math.min(dataLast, lastDay(data.months[last]));
  const everyDay = grouped(dayRows, (row) => row.day);
  const days = everyDay.filter((day) => day.name >= start && day.name <= end);
  const ofMonth = new Map(grouped(days, (day) => monthText(day.name)).map((month) => [month.name, month]));
  return {
    start, end, everyDay, days, customers, products,
    everything: first === 0 && last === data.months.length - 1 && store === null,
    dataFirst,
    purchases: total(days, "purchases"),
    cents: total(days, "cents"),
    squares: total(customers, "squares"),
    newCustomers: total(customers.filter((row) => !row.name[2]), "purchases"),
    months: data.months.slice(first, last + 1).map((month) => ({
      month,
      purchases: ofMonth.get(month)?.purchases ?? 0,
      cents: ofMonth.get(month)?.cents ?? 0,
      whole: dataFirst <= dayNumber(month) && lastDay(month) <= dataLast,
    })),
    categories: byRevenue(grouped(products, (row) => row.name[2])),
    brands: byRevenue(grouped(products, (row) => row.name[1])),
    topProducts: byRevenue(grouped(products, (row) => row.name.join("\0")))
      .map((sum) => ({ ...sum, name: sum.row.name[0] })),
    states: byRevenue(grouped(rows("state"), (row) => row.name[0])),
    payments: byRevenue(grouped(rows("payment type"), (row) => row.name[0])),
    stores: byRevenue(grouped(rows("day"), (row) => data.stores[row.store])),
  };
}

// Which differences may be stated: chance.py says why.

const differs = (one, other) =>
  Math.abs(one.value - other.value) > data.standardErrors * Math.sqrt(one.variance + other.variance);

function claim(ordered) {
  if (ordered.length === 1) return "only";
  if (!differs(ordered[0], ordered.at(-1))) return "even";
  return differs(ordered[0], ordered[1]) ? "leads" : "tied";
}

const estimates = (purchases, revenue, squares) => {
  const variance = Math.max(squares / (purchases || 1) - (revenue / (purchases || 1)) ** 2, 0);
  return {
    revenue: (cents, days = 1) => ({
      value: cents / 100 / days,
      variance: ((cents / 100) * squares) / (revenue || 1) / days ** 2,
    }),
    ticket: (row) => ({ value: ticket(row), variance: variance / (row.purchases || 1) }),
  };
};
const countOf = (count, days = 1) => ({ value: count / days, variance: count / days ** 2 });
const estimatesOf = (figures) => estimates(figures.purchases, figures.cents / 100, figures.squares);

function estimatesOfCategory(figures, category) {
  const own = grouped(figures.products.filter((row) => row.name[2] === category), (row) => row.name.join("\0"));
  const revenue = total(own, "cents") / 100;
  if (!revenue) return estimatesOf(figures);
  const squares = own.reduce((sum, row) => sum + (row.cents / 100) ** 2 / row.purchases, 0);
  const usual = (revenue * figures.squares) / (figures.cents / 100 || 1);
  return estimates(total(own, "purchases"), revenue, Math.max(squares, usual));
}
