// The device page: what its panels hold, which part of the time is in sight, and where the cursor is.
const device = { panels: [], view: [0, 1], drawing: null, at: null };

function unpackLine(packed, names = ["value"]) {
  const t = unpackFloats(packed.t, "f8").map((s) => s + data.start);
  return { t, ...Object.fromEntries(names.map((name) => [name, packed[name] === undefined ? null : unpackFloats(packed[name])])) };
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
  const marks = { gaps: one.gaps, unjudged: one.unjudged, incidents: one.incidents };
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

function draw() {
  const box = $("panels");
  if (!box.clientWidth) return;
  device.drawing = drawPanels(box, device.panels, device.view, data.window);
  const [from, to] = device.view;
  const whole = from <= data.start && to >= data.end;
  document.querySelectorAll("[data-zoom]").forEach((button) => {
    button.disabled = { in: to - from <= 12 * data.window, all: whole, out: whole, earlier: from <= data.start, later: to >= data.end }[button.dataset.zoom];
  });
  showCursor();
}

function setSpan(from, to) {
  const length = Math.min(data.end - data.start, Math.max(12 * data.window, to - from));
  const start = Math.max(data.start, Math.min(data.end - length, from));
  device.view = [start, start + length];
  draw();
  keepSpan();
}

// The part in sight is in the fragment: a reload keeps it, a link takes it along, and the server need not know.
let spanTimer = null;
function keepSpan() {
  const [from, to] = device.view.map(Math.round);
  const part = from <= data.start && to >= data.end ? "" : `#zoom=${iso(from)}/${iso(to)}`;
  document.querySelectorAll(".tabs a").forEach((link) => { link.hash = part; });
  clearTimeout(spanTimer); // browsers refuse more than some changes of the URL in a second
  spanTimer = setTimeout(() => history.replaceState(null, "", location.pathname + location.search + part), 200);
}

function keptSpan() {
  const [from, to] = (/^#zoom=([^/]+)\/([^/]+)$/.exec(location.hash)?.slice(1) ?? []).map((text) => Date.parse(text) / 1000);
  return from < to && from < data.end && to > data.start ? [from, to] : null;
}

function zoomTo(how) {
  const [from, to] = device.view;
  const length = to - from;
  const middle = device.at !== null && device.at >= from && device.at <= to ? device.at : (from + to) / 2;
  const spans = { in: [middle - length / 4, middle + length / 4], out: [middle - length, middle + length], earlier: [from - length / 2, to - length / 2], later: [from + length / 2, to + length / 2], all: [data.start, data.end] };
  setSpan(...spans[how]);
}

// The window of a series that a time lies in; -1 in a gap.
function windowAt(one, t) {
  one.starts ??= unpackFloats(one.t, "f8").map((s) => s + data.start);
  let [low, high] = [0, one.starts.length];
  while (low < high) { const mid = (low + high) >> 1; if (one.starts[mid] <= t) low = mid + 1; else high = mid; }
  return low && t < one.starts[low - 1] + data.window ? low - 1 : -1;
}

function wordsAt(t) {
  const [one] = data.series;
  const i = windowAt(one, t);
  const reason = one.unjudged.find(([from, to]) => t >= from && t < to);
  const tail = reason ? ` Not judged: ${reason[2]}.` : "";
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

const isTouched = () => matchMedia("(hover: none)").matches;

function showCursor() {
  const { drawing, at } = device;
  drawing.marks.replaceChildren();
  if (at === null) {
    $("panels-readout").textContent = `${stretch(...device.view)} UTC. ${isTouched() ? "Tap the charts to read a value." : "Point at the charts, or move with the arrow keys."}`;
    return;
  }
  const px = drawing.x(at);
  if (px >= drawing.left && px <= drawing.right) drawing.marks.append(svg("line", { class: "cursor", x1: px, x2: px, y1: drawing.top, y2: drawing.bottom }));
  $("panels-readout").textContent = wordsAt(at);
}

function moveTo(t) {
  device.at = Math.max(data.start, Math.min(data.end - 1, t));
  const [from, to] = device.view;
  if (device.at < from || device.at > to) setSpan(device.at - (to - from) / 2, device.at + (to - from) / 2);
  else showCursor();
}

function nextFlag(direction) {
  const [one] = data.series;
  windowAt(one, 0);
  const times = one.flags.map((i) => one.starts[i] + data.window / 2);
  const now = device.at ?? (direction > 0 ? -Infinity : Infinity);
  const found = direction > 0 ? times.find((t) => t > now + 1) : times.reverse().find((t) => t < now - 1);
  if (found !== undefined) moveTo(found);
  else $("panels-readout").textContent = `No ${direction > 0 ? "later" : "earlier"} anomaly of ${one.sensor} in this range.`;
}

function panelsKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const now = device.at ?? device.view[0] - data.window / 2;
  const step = data.window * (event.shiftKey ? 10 : 1);
  const keys = {
    ArrowRight: () => moveTo(now + step), ArrowLeft: () => moveTo(now - step), Home: () => moveTo(device.view[0]), End: () => moveTo(device.view[1] - 1),
    n: () => nextFlag(1), p: () => nextFlag(-1), "+": () => zoomTo("in"), "=": () => zoomTo("in"), "-": () => zoomTo("out"), Escape: () => zoomTo("all"),
  };
  const action = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!action) return;
  action();
  event.preventDefault();
}

// A mouse points and drags a zoom; a finger reads, and what it has read stays.
function panelsPointer() {
  const box = $("panels");
  let pressed = null;
  const at = (event) => event.clientX - box.getBoundingClientRect().left;
  const read = (event) => {
    const t = device.drawing.time(at(event));
    if (t >= device.view[0] && t <= device.view[1]) { device.at = t; showCursor(); }
  };
  box.addEventListener("pointerdown", (event) => { if (event.pointerType === "touch") read(event); else pressed = at(event); });
  box.addEventListener("pointermove", (event) => {
    read(event);
    if (pressed !== null && Math.abs(at(event) - pressed) > 6) {
      const { marks, top, bottom } = device.drawing;
      marks.append(svg("rect", { class: "brush", x: Math.min(pressed, at(event)), y: top, width: Math.abs(at(event) - pressed), height: bottom - top }));
    }
  });
  window.addEventListener("pointerup", (event) => {
    if (pressed === null) return;
    const [a, b] = [pressed, at(event)].map(device.drawing.time).sort((p, q) => p - q);
    if (Math.abs(at(event) - pressed) > 6) setSpan(a, b);
    pressed = null;
  });
  box.addEventListener("pointercancel", () => { pressed = null; });
  box.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch" && pressed === null && document.activeElement !== box) { device.at = null; showCursor(); } });
}

function devicePanels() {
  if (!data.series?.length) return;
  device.panels = data.series.flatMap((one, i) => sensorPanels(one, i === 0));
  device.view = [data.start, data.end];
  $("panels").addEventListener("keydown", panelsKey);
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoomTo(button.dataset.zoom)));
  panelsPointer();
  const kept = keptSpan();
  if (kept) setSpan(...kept);
  new ResizeObserver(draw).observe($("panels"));
  draw();
}
