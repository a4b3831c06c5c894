// The device page: what the panels of its chart hold, and what is at a time.
function unpackLine(packed, names = ["value"]) {
  const t = unpack(packed.t, "f8").map((s) => s + data.start);
  return { t, ...Object.fromEntries(names.map((name) => [name, packed[name] === undefined ? null : unpack(packed[name], "f4")])) };
}

const unpackBand = (packed) => {
  const band = unpackLine(packed, ["value", "expected", "lower", "upper"]);
  return band.expected ? band : null;
};

function sensorPanels(one, isFocus) {
  const windows = unpackLine(one, ["value", "score", "threshold"]);
  const middle = windows.t.map((t) => t + data.window / 2);
  const at = (line) => ({ ...line, t: line.t.map((t) => t + data.window / 2) });
  const band = unpackBand(one.band);
  const before = at(unpackLine(one.before));
  const marks = { gaps: one.gaps, unjudged: one.unjudged, incidents: one.incidents, stays: one.stays };
  const dots = (v) => one.flags.map((i) => [middle[i], v[i]]);
  const value = {
    title: one.sensor, height: isFocus ? 210 : 92, ...marks,
    band: band && at(band), dots: dots(windows.value),
    lines: [{ kind: "before", t: before.t, v: before.value, scales: false }, { kind: "value", t: middle, v: windows.value }],
  };
  if (!isFocus) return [value];
  const raw = unpackLine(data.readings);
  value.lines.splice(1, 0, { kind: "raw", t: raw.t, v: raw.value, every: Math.max(data.window, 2 * Math.abs((raw.t[raw.t.length - 1] ?? 0) - (raw.t[0] ?? 0)) / Math.max(1, raw.t.length)) });
  const found = [value];
  if (data.lead) {
    const lead = at(unpackLine(data.lead, ["value", "expected", "lower", "upper"]));
    const index = new Map(Array.from(lead.t, (t, i) => [t, i]));
    const flagged = one.flags.map((i) => [middle[i], lead.value[index.get(middle[i])] ?? NaN]);
    found.push({ title: `leads: ${featureWords(data.lead.feature)}`, height: 120, ...marks, band: lead.expected && lead, dots: flagged, lines: [{ kind: "value", t: lead.t, v: lead.value }] });
  }
  found.push({ title: "score (lower is more anomalous)", height: 92, ...marks, dots: dots(windows.score), lines: [{ kind: "score", t: middle, v: windows.score }, { kind: "limit", t: middle, v: windows.threshold }] });
  return found;
}

// The part in sight is in the fragment: a reload keeps it, a link takes it along, and the server need not know.
let spanTimer = null;
function keepSpan() {
  const [from, to] = chart.view.map(Math.round);
  const part = from <= data.start && to >= data.end ? "" : `#zoom=${iso(from)}/${iso(to)}`;
  document.querySelectorAll(".tabs a").forEach((link) => { link.hash = part; });
  clearTimeout(spanTimer); // browsers refuse more than some changes of the URL in a second
  spanTimer = setTimeout(() => history.replaceState(null, "", location.pathname + location.search + part), 200);
}

function keptSpan() {
  const [from, to] = (/^#zoom=([^/]+)\/([^/]+)$/.exec(location.hash)?.slice(1) ?? []).map((text) => Date.parse(text) / 1000);
  return from < to && from < data.end && to > data.start ? [from, to] : null;
}

// The window of a series that a time lies in; -1 in a gap.
function windowAt(one, t) {
  one.starts ??= unpack(one.t, "f8").map((s) => s + data.start);
  let [low, high] = [0, one.starts.length];
  while (low < high) { const mid = (low + high) >> 1; if (one.starts[mid] <= t) low = mid + 1; else high = mid; }
  return low && t < one.starts[low - 1] + data.window ? low - 1 : -1;
}

function wordsAt(t) {
  const [one] = data.series;
  const i = windowAt(one, t);
  const reason = one.unjudged.find(([from, to]) => t >= from && t < to);
  const stay = one.stays.find(([from, , to]) => t >= from && t < to);
  const tail = `${stay ? ` At one level since ${time(stay[0])}, usual until ${time(stay[1])}.` : ""}${reason ? ` Not judged: ${reason[2]}.` : ""}`;
  if (i < 0) return `${time(Math.floor(t))} UTC: no window, a gap.${tail}`;
  one.unpacked ??= unpackLine(one, ["value", "score", "threshold"]);
  one.ranges ??= unpackBand(one.band);
  const { value, score, threshold } = one.unpacked;
  const start = one.starts[i];
  const k = one.ranges ? one.ranges.t.indexOf(start) : -1;
  const range = k >= 0 ? rangeWords(value[i], one.ranges.lower[k], one.ranges.upper[k]) : number(value[i]);
  const flag = one.flags.indexOf(i);
  const verdict = flag < 0 ? "" : ` Anomaly, severity ${severityWords(one.severity[flag])}; furthest from normal: ${featureWords(one.feature[flag])}.`;
  const rule = one.rules.find(([at]) => at === i);
  return `${stretch(start, start + data.window)} UTC: ${range}; score ${number(score[i])}, threshold ${number(threshold[i])}.${verdict}${rule ? ` Rule: ${rule[1]}.` : ""}${tail}`;
}

function devicePanels() {
  if (!data.series?.length) return;
  const [one] = data.series;
  const starts = unpack(one.t, "f8");
  readyChart($("panels"), $("panels-readout"));
  openChart({
    panels: data.series.flatMap((series, i) => sensorPanels(series, i === 0)), start: data.start, end: data.end, step: data.window, name: one.sensor,
    flags: one.flags.map((i) => data.start + starts[i] + data.window / 2), words: wordsAt, onSpan: keepSpan,
  }, keptSpan());
}
