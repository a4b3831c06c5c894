// Words, numbers, times and elements: everything that turns data into text. Ids only ever become text nodes.
const data = JSON.parse(document.getElementById("report-data").textContent);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const $ = (id) => document.getElementById(id);
const two = (n) => String(n).padStart(2, "0");

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

const count = (n) => n.toLocaleString("en-GB");
const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  return `${share === 0 ? "0" : share < 0.01 ? "< 0.01" : share < 1 ? share.toFixed(2) : share.toFixed(1)} %`;
}

// Four digits, and one behind the point of 1,013.4; a number that is packed has seven.
function number(x, least = 4) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  const digits = Math.max(least, size >= 1000 && size < 1e6 ? Math.floor(Math.log10(size)) + 2 : 0);
  const shown = Number(x.toPrecision(Math.min(digits, 7)));
  return (size !== 0 && (size >= 1e6 || size < 1e-3) ? shown.toExponential() : String(shown)).replaceAll("-", "−");
}

// A value and its expected range: two digits of the width, rounded outward, or more to tell the value from it.
function rangeWords(x, lower, upper) {
  const width = upper - lower;
  if (![x, lower, upper].every(Number.isFinite)) return number(x);
  if (!(width > 1e-6 * Math.max(Math.abs(x), Math.abs(upper)))) return `${number(x)}, expected ${number((lower + upper) / 2)}`;
  const inside = x >= lower && x <= upper;
  const rounded = (digits) => [Math.round(x * 10 ** digits), Math.floor(lower * 10 ** digits + 1e-6), Math.ceil(upper * 10 ** digits - 1e-6)];
  let digits = 1 - Math.floor(Math.log10(width));
  for (let more = 0; more < 6; more += 1) {
    const [at, from, to] = rounded(digits);
    if (inside || at < from || at > to) break;
    digits += 1;
  }
  const [, ...bounds] = rounded(digits);
  const shown = (n) => number(n, Math.max(4, digits + Math.floor(Math.log10(Math.abs(n) || 1)) + 1));
  return `${shown(x)}, expected ${bounds.map((n) => shown(n / 10 ** digits)).join(" to ")}`;
}

// A severity is 0 to 100, or more in rows of earlier versions: two decimals below 1, none from 10 on.
const severityWords = (x) => (x === null || !Number.isFinite(x) ? "–" : x.toFixed(x < 1 ? 2 : x < 10 ? 1 : 0));

const FEATURES = {
  mean: "level (mean)", std: "spread (std)", min: "lowest value (min)", max: "highest value (max)", range: "width (range)",
  first: "first value (first)", last: "last value (last)", change: "rise or fall (change)", slope: "slope", sum: "sum",
  count: "number of readings (count)", diff_mean: "step (diff_mean)", equal_run: "same value in a row (equal_run)",
  stay_hours: "stays at one level",
};

function featureWords(name) {
  if (!name) return "–";
  const percentile = /^p([0-9]{2})$/.exec(name);
  return Object.hasOwn(FEATURES, name) ? FEATURES[name] : percentile ? `percentile ${Number(percentile[1])} (${name})` : name;
}

function day(seconds, withYear = true) {
  const t = new Date(seconds * 1000);
  return `${t.getUTCDate()} ${MONTHS[t.getUTCMonth()]}${withYear ? ` ${t.getUTCFullYear()}` : ""}`;
}

function clock(seconds) {
  const t = new Date(seconds * 1000);
  const tail = t.getUTCSeconds() ? `:${two(t.getUTCSeconds())}` : "";
  return `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${tail}`;
}

const time = (seconds) => (seconds === null ? "–" : `${day(seconds)} ${clock(seconds)}`);

function stretch(start, end) {
  return day(start) === day(end) ? `${day(start)}, ${clock(start)} to ${clock(end)}` : `${time(start)} to ${time(end)}`;
}

function duration(seconds) {
  for (const [size, name] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (seconds >= size && seconds % size === 0) return [seconds / size, name];
  }
  return [seconds, "second"];
}

function eachOf(seconds) {
  const [n, name] = duration(seconds);
  return n === 1 ? `one-${name}` : `${n}-${name}`;
}

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

function unpack(text, kind) {
  const bytes = Uint8Array.from(atob(text ?? ""), (c) => c.charCodeAt(0));
  return new ARRAYS[kind](bytes.buffer);
}

const deviceName = (i) => data.devices[i][0];
const sensorName = (i) => data.sensors[i];
