// Numbers, money, dates and sentences of a language, as formats.py writes them.

function formatsOf(texts) {
  const { locale, scales, shortMonths, longMonths, months, weekdays } = texts.formats;
  const numbers = (options) => {
    const format = new Intl.NumberFormat(locale, { roundingMode: "halfEven", ...options });
    return (value) => format.format(value);
  };
  const places = (count) => ({ minimumFractionDigits: count, maximumFractionDigits: count });
  const currency = { style: "currency", currency: "BRL" };
  const wholes = numbers(places(0));
  const tenths = numbers(places(1));
  const hundredths = numbers(places(2));
  const exact = numbers({ ...currency, ...places(2) });
  const compact = numbers({ ...currency, notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 });
  const percent = numbers({ style: "percent", ...places(1) });
  const scale = (largest) => {
    const [size, name, digits] = scales.find((each) => largest >= each[0]) ?? scales.at(-1);
    return { size, name, digits };
  };
  const shortDay = (number) => {
    const date = dateOf(number);
    const month = new Intl.DateTimeFormat(locale, { month: "short", timeZone: "UTC" }).format(date);
    return `${date.getUTCDate()} ${locale === "pt-BR" ? "de " : ""}${month} ${date.getUTCFullYear()}`;
  };
  return {
    number: (value, digits = 0) => [wholes, tenths, hundredths][digits](value),
    money: exact,
    shortMoney: (value) => (scale(value).size === 1 ? exact : compact)(value),
    percent,
    change: (ratio) => (ratio < 0 ? "\u2212" : "+") + percent(Math.abs(ratio)),
    scale,
    shortDay,
    month: (month) => shortMonths[month],
    longMonth: (month) => longMonths[month],
    months,
    weekdays,
  };
}

const filled = (text, facts) => text.replace(/\{(\w+)\}/g, (_, name) => facts[name]);
const ratioOf = (part, whole) => (whole ? part / whole : 0);
