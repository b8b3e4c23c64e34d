// The exhibits and headline figures by day, as periods.py, day_exhibits.py and headline.py build them.

function comparisons(first, last) {
  const begun = monthText(last);
  const whole = lastDay(begun) === last ? begun : shifted(begun, -1);
  const months = (from, to) => ({ first: dayNumber(from), last: lastDay(to) });
  const sameDays = (back, from) => {
    const month = shifted(begun, back);
    const sameDay = dayNumber(month) + dateOf(last).getUTCDate() - 1;
    return { first: dayNumber(from(month)), last: Math.min(sameDay, lastDay(month)) };
  };
  const january = (month) => `${month.slice(0, 4)}-01-01`;
  const found = [
    ["twelve", months(shifted(whole, -11), whole), months(shifted(whole, -23), shifted(whole, -12))],
    ["month", months(whole, whole), months(shifted(whole, -1), shifted(whole, -1))],
    ["year_ago", months(whole, whole), months(shifted(whole, -12), shifted(whole, -12))],
    ["year_to_date", { first: dayNumber(january(begun)), last }, sameDays(-12, january)],
  ];
  if (whole !== begun) {
    const before = sameDays(-1, (month) => month);
    const length = before.last - before.first;
    found.push(["so_far", { first: dayNumber(begun), last: dayNumber(begun) + length }, before]);
  }
  return found.map(([key, now, before]) => ({ key, now, before }))
    .filter(({ now, before }) => first <= before.first && first <= now.first);
}

const lengthOf = (span) => span.last - span.first + 1;

function sumsOf(figures, span) {
  const days = figures.everyDay.filter((day) => day.name >= span.first && day.name <= span.last);
  return { days: lengthOf(span), purchases: total(days, "purchases"), cents: total(days, "cents") };
}

function changeCell(make, now, before) {
  const change = before.value ? now.value / before.value - 1 : 0;
  return cell(differs(now, before) ? make.formats.change(change) : make.texts.by_chance, inMillionths(change));
}

function spanText(make, span) {
  const [first, last] = [monthText(span.first), monthText(span.last)];
  const whole = span.first === dayNumber(first) && span.last === lastDay(last);
  const { month, shortDay } = make.formats;
  const written = whole ? [month(first), month(last)] : [shortDay(span.first), shortDay(span.last)];
  return [...new Set(written)].join(make.texts.to);
}

exhibits.compared = (make, figures) => {
  const { texts } = make;
  const { revenue } = estimatesOf(figures);
  const rows = comparisons(figures.dataFirst, figures.end).map(({ key, now, before }) => {
    const [ofNow, ofBefore] = [now, before].map((span) => sumsOf(figures, span));
    return [cell(texts.comparisons[key]), cell(spanText(make, now)), cell(spanText(make, before)),
      make.money(ofNow.cents / 100 / ofNow.days), make.money(ofBefore.cents / 100 / ofBefore.days),
      changeCell(make, revenue(ofNow.cents, ofNow.days), revenue(ofBefore.cents, ofBefore.days))];
  });
  if (!rows.length) return null;
  const [what, , , , , change] = rows[0].map((each) => each.text);
  return { finding: filled(texts.compared.finding, { what, change }), charts: [], rows };
};

function cycle(make, figures, { words, names, placeOf, first, last }) {
  const { formats, texts } = make;
  const sums = names.map(() => ({ days: 0, purchases: 0, cents: 0 }));
  for (let day = first; day <= last; day += 1) sums[placeOf(dateOf(day))].days += 1;
  for (const day of figures.days.filter((each) => each.name >= first && each.name <= last)) {
    const sum = sums[placeOf(dateOf(day.name))];
    sum.purchases += day.purchases;
    sum.cents += day.cents;
  }
  const rows = sums.map((sum, place) => ({ ...sum, name: names[place], aDay: ratioOf(sum.cents / 100, sum.days) }));
  const highest = Math.max(...rows.map((row) => row.aDay)) || 1;
  const unit = formats.scale(highest);
  const ordered = [...rows].sort((one, other) => other.aDay - one.aDay);
  const { revenue } = estimatesOf(figures);
  return {
    title: filled(words.title, { unit: unit.name }),
    finding: make.say(
      words,
      ordered.map((row) => revenue(row.cents, row.days || 1)),
      ends(ordered, (row) => formats.shortMoney(row.aDay)),
    ),
    charts: [{
      marks: rows.map((row) => ({
        name: row.name.slice(0, 3), value: row.aDay / highest,
        written: formats.number(row.aDay / unit.size, row.aDay >= 100 * unit.size ? 0 : 1),
        tip: `${row.name}\n${texts.a_day}: ${formats.money(row.aDay)}\n${texts.days}: ${formats.number(row.days)}`,
      })),
    }],
    rows: rows.map((row, place) => [cell(row.name, place), make.count(row.days), make.count(row.purchases),
      make.money(row.cents / 100), make.money(row.aDay)]),
  };
}

exhibits.weekdays = (make, figures) => cycle(make, figures, {
  words: make.texts.weekdays,
  names: make.formats.weekdays,
  placeOf: (date) => (date.getUTCDay() + 6) % 7,
  first: figures.start,
  last: figures.end,
});

exhibits.seasons = (make, figures) => {
  const whole = figures.months.filter((row) => row.whole).map((row) => row.month);
  if (whole.length < 12) return null;
  return cycle(make, figures, {
    words: make.texts.seasons,
    names: make.formats.months,
    placeOf: (date) => date.getUTCMonth(),
    first: dayNumber(whole[0]),
    last: lastDay(whole.at(-1)),
  });
};

function course(values) {
  const highest = Math.max(0, ...values);
  if (values.length < 2 || !highest) return "";
  return pointsOf(values.map((value, place) => ({ x: place / (values.length - 1), value: value / highest })));
}

function headline(make, figures) {
  const { formats, texts } = make;
  const whole = figures.months.filter((row) => row.whole).map((row) => ({ ...row, days: daysIn(row.month) }));
  const { revenue, ticket: ticketOf } = estimatesOf(figures);
  const [longest] = comparisons(figures.dataFirst, figures.end);
  const [now, before] = longest ? [longest.now, longest.before].map((span) => sumsOf(figures, span)) : [];
  const change = (estimate) => longest
    && `${changeCell(make, estimate(now), estimate(before)).text} · ${texts.comparisons[longest.key]}`;
  const revenueShown = figures.cents / 100;
  return {
    revenue: {
      value: formats.shortMoney(revenueShown), detail: formats.money(revenueShown),
      change: change((sum) => revenue(sum.cents, sum.days)), course: course(whole.map((row) => row.cents / row.days)),
    },
    purchases: {
      value: formats.number(figures.purchases),
      change: change((sum) => countOf(sum.purchases, sum.days)),
      course: course(whole.map((row) => row.purchases / row.days)),
    },
    ticket: { value: formats.money(ticket(figures)), change: change(ticketOf), course: course(whole.map(ticket)) },
    customers: {
      name: figures.everything ? texts.customers : texts.new_customers,
      value: formats.number(figures.newCustomers), detail: texts.customers_note,
    },
  };
}
