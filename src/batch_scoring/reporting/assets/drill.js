// The drill-down: the chart of a series, and its anomalies as a table.
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
  const start = data.details + packed.at * packed.step;
  const [severity, feature] = [unpack(packed.severity, "f4"), unpack(packed.feature, "u1")];
  return {
    device, sensor, step: packed.step, start, value: unpack(packed.value, "f4"), score, threshold, anomalies, middle: Float64Array.from(score, (_, i) => start + (i + 0.5) * packed.step),
    details: new Map(Array.from(anomalies, (at, k) => [at, { severity: severity[k], feature: packed.features[feature[k]] }])),
    faults: data.faults.filter((fault) => fault[0] === device && fault[1] === sensor),
    unjudged: data.unjudged.filter((one) => one[0] === device && one[1] === sensor),
    incidents: data.incidents.marks.filter((mark) => mark[0] === device && mark[1] === sensor),
    stays: incidents.flatMap((one) => one.stays).filter((stay) => stay[0] === deviceName(device) && stay[1] === sensorName(sensor)),
  };
}

function openSeries(device, sensor, { scroll = false, from = null, to = null } = {}) {
  if (sensor === null || !data.series.some(([d, s]) => d === device && s === sensor)) sensor = data.series.find(([d]) => d === device)[1];
  $("chart-device").value = device;
  const own = data.series.filter(([d]) => d === device).map(([, s]) => s).sort((a, b) => a - b);
  $("chart-sensor").replaceChildren(...own.map((s) => make("option", { value: s }, sensorName(s))));
  $("chart-sensor").value = sensor;
  $("series-title").textContent = `${deviceName(device)} · ${sensorName(sensor)}`;
  const series = unpackSeries(device, sensor);
  const [, , windows, anomalies, severity] = data.series.find(([d, s]) => d === device && s === sensor);
  $("chart-note").textContent = seriesWords(series, windows, anomalies, severity);
  listAnomalies(series);
  if (series) {
    const around = 4 * data.cell;
    openChart(chartOfSeries(series, from === null ? null : [from, to]), from === null ? null : [from - around, to + around]);
  } else {
    chart.panels = [];
    $("chart").replaceChildren(make("p", { class: "empty" }, "This page has no chart of this series."));
    $("chart-readout").textContent = "";
  }
  if (scroll) {
    $("drill").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    $("chart").focus({ preventScroll: true });
  }
}

// Two panels: the value, and the score with its threshold.
function chartOfSeries(series, cell) {
  const { step, start, middle: t, value, score, threshold, anomalies } = series;
  const dots = (v) => Array.from(anomalies, (i) => [t[i], v[i]]);
  const marks = { unjudged: series.unjudged.map(([, , from, to]) => [from, to]), incidents: series.incidents.map(([, , from, to, , open]) => [from, to, open]), stays: series.stays.map((stay) => stay.slice(2, 6)) };
  const faults = series.faults.map(([, , kind, from, to]) => [from, to, kind.replaceAll("_", " ")]);
  return {
    start, end: start + score.length * step, step, cell, name: sensorName(series.sensor),
    flags: Array.from(anomalies, (i) => t[i]), words: (at) => windowWords(series, Math.min(score.length - 1, Math.floor((at - start) / step))),
    panels: [
      { title: "value", height: 190, ...marks, faults, dots: dots(value), lines: [{ kind: "value", t, v: value }] },
      { title: "score", height: 104, ...marks, faults: faults.map(([from, to]) => [from, to]), dots: dots(score), lines: [{ kind: "score", t, v: score }, { kind: "limit", t, v: threshold }] },
    ],
  };
}

function seriesWords(series, windows, anomalies, severity) {
  const summary = `${plural(windows, "window")}, ${count(anomalies)} anomalous (${percent(anomalies, windows)})${anomalies ? `, worst severity ${severityWords(severity)}` : ""}.`;
  if (!series) return `${summary} Its chart is left out to keep this page small; report it alone with --params device=…`;
  const { step } = series;
  const part = data.details > data.start ? ` Charts begin on ${time(data.details)} to keep this page small (report.max_rows).` : "";
  return step === data.window ? summary + part : `${summary} Shown in ${eachOf(step)} steps: mean value, lowest score.${part}`;
}

function windowWords(series, i) {
  const start = series.start + i * series.step;
  const when = `${stretch(start, start + series.step)} UTC`;
  if (!Number.isFinite(series.value[i]) && !Number.isFinite(series.score[i])) return `${when}: nothing scored, a gap.`;
  const numbers = `value ${number(series.value[i])}, score ${number(series.score[i])}, threshold ${number(series.threshold[i])}`;
  const found = series.details.get(i);
  const verdict = found ? ` Anomaly, severity ${severityWords(found.severity)}${found.feature ? `; furthest from normal: ${featureWords(found.feature)}` : ""}.` : "";
  const fault = series.faults.find(([, , , from, to]) => start < to && start + series.step > from);
  const incident = series.incidents.find(([, , from, to]) => start < to && start + series.step > from);
  const part = incident ? ` Incident since ${time(incident[2])}${incident[5] ? ", open" : ` until ${time(incident[3])}`}.` : "";
  const stay = series.stays.find(([, , from, , to]) => start < to && start + series.step > from);
  const level = stay ? ` At one level since ${time(stay[2])}, usual until ${time(stay[3])}.` : "";
  return `${when}: ${numbers}.${verdict}${part}${level}${fault ? ` Known fault: ${fault[2].replaceAll("_", " ")}.` : ""}`;
}

function listAnomalies(series) {
  $("anomaly-details").hidden = !series || !series.anomalies.length;
  if (!series) return;
  const shown = Array.from(series.anomalies).slice(0, 200);
  $("anomaly-count").textContent = `Anomalies of this series as a table (${count(series.anomalies.length)})`;
  $("anomaly-note").textContent = shown.length < series.anomalies.length ? `The first ${shown.length} are listed.` : "";
  const show = (i) => () => { const t = series.middle[i]; setSpan(t - 36 * series.step, t + 36 * series.step); moveTo(t); $("chart").focus(); };
  fillTable($("anomalies"), [
    { title: "Start (UTC)", of: (i) => make("button", { type: "button", class: "link", onclick: show(i) }, time(series.start + i * series.step)) },
    { title: "Value", of: (i) => number(series.value[i]), number: true },
    { title: "Score", of: (i) => number(series.score[i]), number: true },
    { title: "Threshold", of: (i) => number(series.threshold[i]), number: true },
    { title: "Severity", of: (i) => severityWords(series.details.get(i).severity), number: true },
    { title: "Furthest from normal", of: (i) => featureWords(series.details.get(i).feature) },
  ], shown);
}

function drillDown() {
  $("chart-device").append(...data.devices.map((row, i) => make("option", { value: i }, row[0])));
  $("chart-device").addEventListener("change", () => openSeries(Number($("chart-device").value), null));
  $("chart-sensor").addEventListener("change", () => openSeries(Number($("chart-device").value), Number($("chart-sensor").value)));
  readyChart($("chart"), $("chart-readout"));
  const key = (shape, text) => make("span", {}, make("i", { class: shape }), text);
  $("chart-legend").append(key("line", "value"), key("line score", "score, lower is more anomalous"), key("line limit", "threshold"), key("dot", "anomaly"));
  if (data.incidents.marks.length) $("chart-legend").append(key("stripe", "incident"));
  if (incidents.some((one) => one.stays.length)) $("chart-legend").append(key("stay", "stays at one level, as long as usual, then longer"));
  if (data.faults.length) $("chart-legend").append(key("shade", "known fault"));
  if (data.unjudged.length) $("chart-legend").append(key("unjudged", "not judged (calendar, or off)"));
  const [device, sensor] = data.series[0];
  openSeries(device, sensor);
}
