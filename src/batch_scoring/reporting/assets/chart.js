// The drill-down: which series is shown, which part of it, and where the cursor is.
const chart = { series: null, view: [0, 1], cursor: null, drawing: null };
const chartOf = new Map(data.charts.map((packed, i) => [data.series[packed.series].slice(0, 2).join(), i]));

function findSeries(device, sensor) {
  findSeries.index ??= new Map(data.series.map(([d, s]) => [`${deviceName(d)}\u0000${sensorName(s)}`, [d, s]]));
  return findSeries.index.get(`${device}\u0000${sensor}`) ?? null;
}

function unpackSeries(device, sensor) {
  const i = chartOf.get([device, sensor].join());
  if (i === undefined) return null;
  const packed = data.charts[i];
  const score = Float64Array.from(unpack(packed.score, "u2"), (x) => (x === 65535 ? NaN : packed.low + (x / 65534) * (packed.high - packed.low)));
  const threshold = new Float64Array(score.length).fill(NaN);
  packed.threshold.forEach(([at, value], k) => threshold.fill(value, at, packed.threshold[k + 1]?.[0] ?? score.length));
  const anomalies = unpack(packed.anomalies, "u4");
  const [severity, feature] = [unpack(packed.severity, "f4"), unpack(packed.feature, "u1")];
  return {
    device, sensor, step: packed.step, start: data.details + packed.at * packed.step, value: unpack(packed.value, "f4"), score, threshold, anomalies,
    details: new Map(Array.from(anomalies, (at, k) => [at, { severity: severity[k], feature: packed.features[feature[k]] }])),
    faults: data.faults.filter((fault) => fault[0] === device && fault[1] === sensor), cell: null,
    unjudged: data.unjudged.filter((one) => one[0] === device && one[1] === sensor),
    incidents: data.incidents.marks.filter((mark) => mark[0] === device && mark[1] === sensor),
  };
}

function openSeries(device, sensor, { scroll = false, from = null, to = null } = {}) {
  if (sensor === null || !data.series.some(([d, s]) => d === device && s === sensor)) sensor = data.series.find(([d]) => d === device)[1];
  $("chart-device").value = device;
  const own = data.series.filter(([d]) => d === device).map(([, s]) => s).sort((a, b) => a - b);
  $("chart-sensor").replaceChildren(...own.map((s) => make("option", { value: s }, sensorName(s))));
  $("chart-sensor").value = sensor;
  $("series-title").textContent = `${deviceName(device)} · ${sensorName(sensor)}`;
  chart.series = unpackSeries(device, sensor);
  chart.cursor = null;
  const [, , windows, anomalies, severity] = data.series.find(([d, s]) => d === device && s === sensor);
  $("chart-note").textContent = seriesWords(windows, anomalies, severity);
  if (chart.series && from !== null) {
    chart.series.cell = [from, to];
    const index = (t) => (t - chart.series.start) / chart.series.step;
    const around = 4 * data.cell;
    setView(index(from - around), index(to + around));
  } else setView(0, Infinity);
  listAnomalies();
  if (scroll) {
    $("drill").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    $("chart").focus({ preventScroll: true });
  }
}

function seriesWords(windows, anomalies, severity) {
  const summary = `${plural(windows, "window")}, ${count(anomalies)} anomalous (${percent(anomalies, windows)})${anomalies ? `, worst severity ${severityWords(severity)}` : ""}.`;
  if (!chart.series) return `${summary} Its chart is left out to keep this page small; report it alone with --params device=…`;
  const { step } = chart.series;
  const part = data.details > data.start ? ` Charts begin on ${time(data.details)} to keep this page small (report.max_rows).` : "";
  return step === data.window ? summary + part : `${summary} Shown in ${eachOf(step)} steps: mean value, lowest score.${part}`;
}

function setView(from, to) {
  const { series } = chart;
  if (!series) {
    $("chart").replaceChildren(make("p", { class: "empty" }, "This page has no chart of this series."));
    $("chart-readout").textContent = "";
    return;
  }
  const n = series.value.length;
  const length = Math.min(n, Math.max(12, Math.round(to === Infinity ? n : to - from)));
  const start = Math.max(0, Math.min(n - length, Math.round(from)));
  chart.view = [start, start + length];
  redrawChart();
}

function redrawChart() {
  if (!chart.series || !$("chart").clientWidth) return;
  chart.drawing = drawChart($("chart"), chart.series, chart.view);
  const { series, view } = chart;
  const whole = view[1] - view[0] >= series.value.length;
  const off = { earlier: view[0] === 0, later: view[1] >= series.value.length, out: whole, all: whole, in: view[1] - view[0] <= 12 };
  document.querySelectorAll("[data-zoom]").forEach((button) => { button.disabled = off[button.dataset.zoom]; });
  setCursor(chart.cursor);
}

function zoom(how) {
  const [from, to] = chart.view;
  const length = to - from;
  const middle = chart.cursor !== null && chart.cursor >= from && chart.cursor < to ? chart.cursor : (from + to) / 2;
  if (how === "in") setView(middle - length / 4, middle + length / 4);
  else if (how === "out") setView(middle - length, middle + length);
  else if (how === "earlier") setView(from - length / 2, to - length / 2);
  else if (how === "later") setView(from + length / 2, to + length / 2);
  else setView(0, Infinity);
}

function setCursor(i) {
  const { series, drawing, view } = chart;
  chart.cursor = i;
  drawing.marks.replaceChildren();
  if (i === null) {
    $("chart-readout").textContent = `${stretch(series.start + view[0] * series.step, series.start + view[1] * series.step)} UTC.`;
    return;
  }
  if (i >= view[0] && i < view[1]) {
    const { x, y, frame, marks } = drawing;
    marks.append(svg("line", { class: "cursor", x1: x(i), x2: x(i), y1: frame.top, y2: frame.bottom }));
    for (const name of ["value", "score"]) {
      if (Number.isFinite(series[name][i])) marks.append(svg("circle", { class: "cursor-dot", cx: x(i), cy: y[name](series[name][i]), r: 4 }));
    }
  }
  $("chart-readout").textContent = windowWords(i);
}

function windowWords(i) {
  const { series } = chart;
  const start = series.start + i * series.step;
  const when = `${stretch(start, start + series.step)} UTC`;
  if (!Number.isFinite(series.value[i]) && !Number.isFinite(series.score[i])) return `${when}: nothing scored, a gap.`;
  const numbers = `value ${number(series.value[i])}, score ${number(series.score[i])}, threshold ${number(series.threshold[i])}`;
  const found = series.details.get(i);
  const verdict = found ? ` Anomaly, severity ${severityWords(found.severity)}${found.feature ? `; furthest from normal: ${featureWords(found.feature)}` : ""}.` : "";
  const fault = series.faults.find(([, , , from, to]) => start < to && start + series.step > from);
  const incident = series.incidents.find(([, , from, to]) => start < to && start + series.step > from);
  const part = incident ? ` Incident since ${time(incident[2])}${incident[5] ? ", open" : ` until ${time(incident[3])}`}.` : "";
  return `${when}: ${numbers}.${verdict}${part}${fault ? ` Known fault: ${fault[2].replaceAll("_", " ")}.` : ""}`;
}

function moveCursor(i) {
  const n = chart.series.value.length;
  const to = Math.max(0, Math.min(n - 1, i));
  const [from, end] = chart.view;
  chart.cursor = to;
  if (to < from || to >= end) setView(to - (end - from) / 2, to + (end - from) / 2);
  else setCursor(to);
}

function nextAnomaly(direction) {
  const list = Array.from(chart.series.anomalies);
  const now = chart.cursor ?? (direction > 0 ? chart.view[0] - 1 : chart.view[1]);
  const found = direction > 0 ? list.find((i) => i > now) : list.reverse().find((i) => i < now);
  if (found !== undefined) moveCursor(found);
}

function chartKey(event) {
  if (!chart.series || event.ctrlKey || event.metaKey || event.altKey) return;
  const now = chart.cursor ?? chart.view[0] - 1;
  const step = event.shiftKey ? 10 : 1;
  const actions = {
    ArrowRight: () => moveCursor(now + step), ArrowLeft: () => moveCursor(now - step), Home: () => moveCursor(chart.view[0]), End: () => moveCursor(chart.view[1] - 1),
    n: () => nextAnomaly(1), p: () => nextAnomaly(-1), "+": () => zoom("in"), "=": () => zoom("in"), "-": () => zoom("out"), Escape: () => zoom("all"),
  };
  const action = actions[event.key] ?? actions[event.key.toLowerCase()];
  if (!action) return;
  action();
  event.preventDefault();
}

function listAnomalies() {
  const { series } = chart;
  $("anomaly-details").hidden = !series || !series.anomalies.length;
  if (!series) return;
  const shown = Array.from(series.anomalies).slice(0, 200);
  $("anomaly-count").textContent = `Anomalies of this series as a table (${count(series.anomalies.length)})`;
  $("anomaly-note").textContent = shown.length < series.anomalies.length ? `The first ${shown.length} are listed.` : "";
  const show = (i) => () => { setView(i - 36, i + 36); moveCursor(i); $("chart").focus(); };
  fillTable($("anomalies"), [
    { title: "Start (UTC)", of: (i) => make("button", { type: "button", class: "link", onclick: show(i) }, time(series.start + i * series.step)) },
    { title: "Value", of: (i) => number(series.value[i]), number: true },
    { title: "Score", of: (i) => number(series.score[i]), number: true },
    { title: "Threshold", of: (i) => number(series.threshold[i]), number: true },
    { title: "Severity", of: (i) => severityWords(series.details.get(i).severity), number: true },
    { title: "Furthest from normal", of: (i) => featureWords(series.details.get(i).feature) },
  ], shown);
}

// Pointing moves the cursor; dragging over the chart chooses the part to show.
function chartPointer() {
  const box = $("chart");
  let pressed = null;
  const at = (event) => event.clientX - box.getBoundingClientRect().left;
  box.addEventListener("pointerdown", (event) => { if (chart.series) pressed = at(event); });
  box.addEventListener("pointermove", (event) => {
    if (!chart.series) return;
    const i = chart.drawing.index(at(event));
    if (i >= chart.view[0] && i < chart.view[1]) setCursor(i);
    if (pressed !== null && Math.abs(at(event) - pressed) > 6) {
      const { frame, marks } = chart.drawing;
      marks.append(svg("rect", { class: "brush", x: Math.min(pressed, at(event)), y: frame.top, width: Math.abs(at(event) - pressed), height: frame.bottom - frame.top }));
    }
  });
  window.addEventListener("pointerup", (event) => {
    if (pressed === null) return;
    const [a, b] = [pressed, at(event)].map(chart.drawing.index).sort((p, q) => p - q);
    if (Math.abs(at(event) - pressed) > 6) setView(a, b + 1);
    pressed = null;
  });
  box.addEventListener("pointercancel", () => { pressed = null; });
  box.addEventListener("pointerleave", () => { if (chart.series && pressed === null && document.activeElement !== box) setCursor(null); });
}

function drillDown() {
  $("chart-device").append(...data.devices.map((row, i) => make("option", { value: i }, row[0])));
  $("chart-device").addEventListener("change", () => openSeries(Number($("chart-device").value), null));
  $("chart-sensor").addEventListener("change", () => openSeries(Number($("chart-device").value), Number($("chart-sensor").value)));
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => { if (chart.series) zoom(button.dataset.zoom); }));
  $("chart").addEventListener("keydown", chartKey);
  chartPointer();
  const key = (shape, text) => make("span", {}, make("i", { class: shape }), text);
  $("chart-legend").append(key("line", "value"), key("line score", "score, lower is more anomalous"), key("line limit", "threshold"), key("dot", "anomaly"));
  if (data.incidents.marks.length) $("chart-legend").append(key("stripe", "incident"));
  if (data.faults.length) $("chart-legend").append(key("shade", "known fault"));
  if (data.unjudged.length) $("chart-legend").append(key("unjudged", "not judged (calendar, or off)"));
  new ResizeObserver(redrawChart).observe($("chart"));
  const [device, sensor] = data.series[0];
  openSeries(device, sensor);
}
