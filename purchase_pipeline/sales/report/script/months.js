// The exhibits by month.

const ROOM_FOR_A_YEAR = 4;
const FEWEST_MONTHS = 3;

const yearNotes = (months) => months.flatMap((month, place) => {
  const following = months.slice(place, place + ROOM_FOR_A_YEAR);
  const year = month.slice(0, 4);
  const first = place === 0 || months[place - 1].slice(0, 4) !== year;
  const room = following.length === ROOM_FOR_A_YEAR && following.every((other) => other.startsWith(year));
  return first && room ? [{ kind: "year", x: place / months.length, y: 0, text: year }] : [];
});

function roundLines(highest) {
  const least = highest / 4;
  const size = 10 ** Math.ceil(Math.log10(least) - 1);
  const step = [size, 2 * size, 5 * size, 10 * size].find((each) => each >= least);
  return Array.from({ length: Math.floor(highest / step) }, (_, place) => step * (place + 1));
}

/** What may be said of the best month: it must also be the best by day. */
function claimOfMonths(figures, whole) {
  const { revenue } = estimatesOf(figures);
  const byDay = whole.map((row) => ({ ...revenue(row.cents, daysIn(row.month)), row }))
    .sort((one, other) => other.value - one.value || compared(one.row.month, other.row.month));
  const made = claim(byDay);
  return made === "leads" && byDay[0].row.cents < Math.max(...whole.map((row) => row.cents)) ? "tied" : made;
}

exhibits.months = (make, figures) => {
  const { formats, texts } = make;
  const rows = figures.months;
  const some = rows.filter((row) => row.whole);
  const whole = some.length ? some : rows;
  const ordered = [...whole].sort((one, other) => other.cents - one.cents || compared(one.month, other.month));
  const made = claimOfMonths(figures, whole);
  const best = ordered[0];
  const average = total(whole, "cents") / whole.length / 100;
  const unit = formats.scale(best.cents / 100);
  const highest = (Math.max(...rows.map((row) => row.cents)) / 100) * 1.02 || 1;
  const paint = (row) => (!row.whole ? "part" : row === best && made === "leads" ? "best" : "");
  const lines = roundLines(highest / unit.size).map((line) => ({
    kind: "line", x: 0, y: (line * unit.size) / highest, text: formats.number(line, Number.isInteger(line) ? 0 : 1),
  }));
  const named = {
    kind: "named",
    x: (rows.indexOf(best) + 0.5) / rows.length,
    y: best.cents / 100 / highest,
    text: formats.month(best.month),
  };
  return {
    title: filled(texts.months.title, { unit: unit.name }),
    finding: filled(made === "leads" ? texts.months.finding : texts.months_claims[made], {
      average: formats.shortMoney(average), best: formats.longMonth(best.month),
      most: formats.shortMoney(best.cents / 100), least: formats.shortMoney(ordered.at(-1).cents / 100),
    }),
    charts: [{
      marks: rows.map((row) => ({
        name: formats.month(row.month), value: row.cents / 100 / highest, written: "", paint: paint(row),
        tip: make.tip(formats.longMonth(row.month), row) + (row.whole ? "" : `\n${texts.incomplete}`),
      })),
      notes: [...lines, { kind: "average", x: 0, y: average / highest, text: "" },
        ...yearNotes(rows.map((row) => row.month)), ...(made === "leads" ? [named] : [])],
    }],
    rows: rows.map((row) => [
      make.monthCell(row.month), make.count(row.purchases), make.money(row.cents / 100), make.money(ticket(row)),
    ]),
  };
};

exhibits.returning = (make, figures) => {
  const { formats, texts } = make;
  const months = figures.months.map(({ month }) => {
    const rows = figures.customers.filter((row) => data.months[row.month] === month);
    const theirs = rows.filter((row) => row.name[2]);
    return {
      month, purchases: total(theirs, "purchases"), cents: total(theirs, "cents"),
      ofPurchases: ratioOf(total(theirs, "purchases"), total(rows, "purchases")),
      ofRevenue: ratioOf(total(theirs, "cents"), total(rows, "cents")),
    };
  });
  const highest = Math.max(...months.map((row) => row.ofRevenue)) || 1;
  return {
    finding: filled(texts.returning.finding, {
      share: formats.percent(ratioOf(total(months, "purchases"), figures.purchases)),
      together: formats.percent(ratioOf(total(months, "cents"), figures.cents)),
    }),
    charts: [{
      marks: months.map((row) => ({
        name: formats.month(row.month), value: row.ofRevenue / highest, written: "",
        tip: [
          formats.longMonth(row.month),
          `${texts.returning.header}: ${formats.percent(row.ofPurchases)}`,
          `${texts.share}: ${formats.percent(row.ofRevenue)}`,
        ].join("\n"),
      })),
      notes: [
        { kind: "top", x: 0, y: 1, text: formats.percent(highest) },
        ...yearNotes(months.map((row) => row.month)),
      ],
    }],
    rows: months.map((row) => [make.monthCell(row.month), make.count(row.purchases), make.percent(row.ofPurchases),
      make.money(row.cents / 100), make.percent(row.ofRevenue)]),
  };
};

function courses(figures, whole) {
  return figures.categories.slice(0, MOST_PANELS).flatMap(({ name }) => {
    const { revenue } = estimatesOfCategory(figures, name);
    const own = figures.products.filter((row) => row.name[2] === name);
    const sums = new Map(grouped(own, (row) => data.months[row.month]).map((sum) => [sum.name, sum.cents]));
    const values = whole.map((month) => revenue(sums.get(month) ?? 0, daysIn(month)));
    const days = whole.reduce((sum, month) => sum + daysIn(month), 0);
    const average = whole.reduce((sum, month) => sum + (sums.get(month) ?? 0), 0) / 100 / (days || 1);
    if (!average) return [];
    const ordered = [...values].sort((one, other) => one.value - other.value);
    const varies = differs(ordered[0], ordered.at(-1));
    return [{ name, average, changes: values.map(({ value }) => value / average - 1), varies }];
  });
}

exhibits.panels = (make, figures) => {
  const { formats, texts } = make;
  const whole = figures.months.filter((row) => row.whole).map((row) => row.month);
  const shown = courses(figures, whole);
  if (whole.length < FEWEST_MONTHS || !shown.length) return null;
  const lowest = (course) => Math.min(...course.changes);
  const highest = (course) => Math.max(...course.changes);
  const range = (course) => highest(course) - lowest(course);
  const reach = Math.max(...shown.flatMap((course) => course.changes.map(Math.abs))) || 1;
  const widest = shown.filter((course) => course.varies)
    .reduce((most, course) => (most && range(most) >= range(course) ? most : course), null);
  const at = (course, place) => ({ x: place / (whole.length - 1), y: course.changes[place] / reach / 2 + 0.5 });
  const chart = (course) => {
    const places = [lowest(course), highest(course)].map((change) => course.changes.indexOf(change));
    const named = [...new Set(places)].sort((one, other) => one - other);
    return {
      title: course.name,
      subtitle: filled(texts.panel_average, { average: formats.shortMoney(course.average) }),
      marks: whole.map((month, place) => ({
        name: formats.month(month), value: at(course, place).y, x: at(course, place).x, written: "",
        paint: named.includes(place) ? "named" : "",
        tip: `${course.name}\n${formats.longMonth(month)}: ${formats.change(course.changes[place])}`,
      })),
      notes: [...named.map((place) => ({
        kind: course.changes[place] > 0 ? "above" : "below",
        ...at(course, place),
        text: formats.change(course.changes[place]),
      })), ...yearNotes(whole)],
    };
  };
  return {
    finding: widest ? filled(texts.panels.finding, {
      category: widest.name, lowest: formats.change(lowest(widest)), highest: formats.change(highest(widest)),
    }) : texts.claims.steady,
    charts: shown.map(chart),
    headers: [texts.panels.header, ...shown.map((course) => course.name)],
    rows: whole.map((month, place) => [make.monthCell(month),
      ...shown.map((course) => cell(formats.change(course.changes[place]), inMillionths(course.changes[place])))]),
  };
};
