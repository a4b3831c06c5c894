// The ranked list of device incidents; each row expands to its sensors' incidents.
const INCIDENTS_A_PAGE = 10;
// Sensors of an incident shown at first; a press shows the others.
const SENSORS_AT_FIRST = 6;
const SEVERITIES = [0.3, 1, 3];
const PRIORITIES = ["low", "medium", "high", "critical"];
const incidents = data.incidents.rows.map(([kind, device, start, end, open, level, priority, devices, nDevices, sensors, nSensors, nIncidents, windows, severity, peak, sensor, feature, words, of, young, advice, lastStart, listed, stays], i) => ({
  rank: i + 1, kind, device, start, end, open, level, priority, devices, nDevices, sensors, nSensors, nIncidents, windows, severity, peak, sensor, feature, words, of, young, advice, lastStart, listed, stays,
}));

// Colours of severity: like the map's, from faint to strong.
const severityLevel = (x) => `h${2 + SEVERITIES.filter((level) => x >= level).length}`;

// Most severities are below 10, so the bar's length goes by its logarithm; from 10 on it is full.
function severityMark(x) {
  const fill = make("i", { class: severityLevel(x) });
  fill.style.width = `${Math.min(100, Math.max(4, (100 * Math.log1p(x)) / Math.log1p(10)))}%`;
  return make("span", { class: "severity" }, make("span", { class: "unseen" }, "severity "), make("b", {}, severityWords(x)), make("span", { class: "bar", "aria-hidden": "true" }, fill));
}

// The level in a word, with the priority by which the list is ordered.
function levelMark({ level, priority }) {
  const fill = make("i", { class: `h${2 + PRIORITIES.indexOf(level)}` });
  fill.style.width = `${Math.min(100, Math.max(4, (100 * Math.log1p(priority)) / Math.log1p(30)))}%`;
  return make("span", { class: "severity" }, make("span", { class: "unseen" }, "level "), make("b", {}, level), make("span", { class: "quiet" }, ` ${severityWords(priority)}`),
    make("span", { class: "bar", "aria-hidden": "true" }, fill));
}

// Of a model that has not seen a week: kept out of alerts, and last in the list.
const adviceMark = ({ advice }) => advice.split(". ").filter(Boolean).map((piece) => make("span", { class: "advice" }, piece));
const youngMark = ({ young }) => (young ? [" ", make("span", { class: "mark over" }, "warming up")] : []);

const stateMark = (open) => make("span", { class: open ? "mark open" : "mark over" }, open ? "open" : "closed");

function namesWords(names, n, noun) {
  const shown = names.slice(0, 3);
  const more = n - shown.length;
  return n === 1 ? shown[0] : `${count(n)} ${noun}: ${shown.join(", ")}${more > 0 ? ` and ${count(more)} more` : ""}`;
}

const sensorsWords = ({ sensors, nSensors }) => namesWords(sensors, nSensors, "sensors");
const isSilent = ({ kind }) => kind.endsWith("_silent");

function whoWords({ kind, device, nDevices }) {
  return kind === "source_silent" ? "Most of the fleet" : kind === "fleet_event" ? plural(nDevices, "device") : device;
}

function whatWords(incident) {
  if (incident.kind === "device_silent" || incident.kind === "source_silent") return "sends nothing";
  return incident.kind === "sensor_silent" ? `sends nothing from ${sensorsWords(incident)}` : sensorsWords(incident);
}

// Hours and minutes, or days and hours.
function lengthWords(seconds) {
  const [large, small, size, part] = seconds >= 172800 ? ["d", "h", 86400, 3600] : ["h", "min", 3600, 60];
  const [whole, rest] = [Math.floor(seconds / size), Math.round((seconds % size) / part)];
  return [whole && `${whole} ${large}`, rest && `${rest} ${small}`].filter(Boolean).join(" ") || "0 min";
}

// What led it, and what would have been usual then.
const leadWords = (feature, words) => [featureWords(feature), words].filter(Boolean).join(" ");

function peakWords({ of: rows, severity, peak, sensor, feature, words, nSensors }) {
  const worst = rows.find((row) => row[0] === sensor && row[6] === feature);
  const stuckAt = feature === "equal_run" && worst ? `stuck at ${number(worst[8])}: ` : "";
  return `peak severity ${severityWords(severity)}, ${day(peak, false)} ${clock(peak)}; ${nSensors > 1 ? `${sensor}, ` : ""}${stuckAt}${leadWords(feature, words)}`;
}

function howWords(incident) {
  const { kind, lastStart, end, windows, devices, nDevices, sensor, feature, words, nSensors, listed } = incident;
  if (listed) return `${howWords({ ...incident, listed: "" })}; ${listed}`;
  if (isSilent(incident)) return `no window for ${lengthWords(end - lastStart)}${kind === "source_silent" ? `; ${plural(nDevices, "device")}` : ""}`;
  const peak = windows ? `${plural(windows, "window")}; ${peakWords(incident)}` : `${nSensors > 1 ? `${sensor}, ` : ""}${leadWords(feature, words)}`;
  return kind === "fleet_event" ? `${namesWords(devices, nDevices, "devices at once")}; ${peak}` : peak;
}

// An open incident has no end yet, only a last window.
function span(start, end, open) {
  return open ? `since ${time(start)}, last ${day(start) === day(end) ? "" : `${day(end, false)} `}${clock(end)}` : stretch(start, end);
}

function contributionBars([, , , , , , , , , limit, parts]) {
  if (!parts.length) return "–";
  const longest = Math.max(limit ?? 0, ...parts.map((part) => part[1]));
  return make("span", { class: "parts" }, ...parts.slice(0, 4).map(([feature, decades]) => {
    const fill = make("i", { class: decades > (limit ?? 0) ? "beyond" : null });
    fill.style.width = `${(100 * decades) / longest}%`;
    const tick = make("s");
    tick.style.left = `${(100 * (limit ?? 0)) / longest}%`;
    return make("span", { class: "part" }, make("span", {}, feature ? featureWords(feature) : "all together"),
      make("span", { class: "track", "aria-hidden": "true" }, fill, tick), make("span", { class: "n" }, severityWords(decades)));
  }));
}

function incidentLink(device, sensor, start, end) {
  const found = findSeries(device, sensor);
  if (found === null) return sensor;
  const show = () => openSeries(...found, { scroll: true, from: start, to: end });
  return make("button", { type: "button", class: "link", onclick: show, "aria-label": `${sensor}: show in the chart` }, sensor);
}

// On a phone each row becomes a card; explicit roles keep it a table for screen readers.
function sayTable(table) {
  const roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
  for (const element of [table, ...table.querySelectorAll("thead, tbody, tr, td, th")]) {
    element.setAttribute("role", roles[element.tagName] ?? (element.scope === "row" ? "rowheader" : "columnheader"));
  }
}

function quietDetails(incident) {
  const { kind, devices, nDevices, sensors, nSensors } = incident;
  if (kind === "anomaly") return "Its sensors' incidents are left out to keep this page small; see the table incidents.";
  const more = nDevices - devices.length;
  const those = kind === "fleet_event" || kind === "source_silent" ? ` Devices: ${devices.join(", ")}${more > 0 ? ` and ${count(more)} more; see the table device_incidents` : ""}.` : "";
  return `Sensors: ${sensors.join(", ")}${nSensors > sensors.length ? ` and ${count(nSensors - sensors.length)} more` : ""}.${those}`;
}

// No window of a stay is anomalous: since when, how long, and what is usual.
function staysTable(stays) {
  const table = make("table", { "aria-label": "Stays at one level" });
  fillTable(table, [
    { title: "Sensor", of: ([device, sensor, start, , end]) => incidentLink(device, sensor, start, end) },
    { title: "At one level (UTC)", of: ([, , start, , end, open]) => make("span", {}, span(start, end, open), ...(open ? [" ", stateMark(true)] : [])), wide: true },
    { title: "How long", of: (r) => r[6], wide: true },
  ], stays);
  sayTable(table);
  return make("div", { class: "scroller" }, table);
}

function incidentDetails(incident) {
  if (!incident.stays.length) return windowDetails(incident);
  const behind = incident.of.length ? windowDetails(incident) : make("div", { class: "behind" });
  behind.prepend(staysTable(incident.stays));
  return behind;
}

function windowDetails(incident) {
  const { of: rows, device } = incident;
  if (!rows.length) return make("p", { class: "quiet behind" }, quietDetails(incident));
  const table = make("table", { "aria-label": `Incidents of ${device}` });
  const why = rows.some((row) => row[10].length)
    ? { title: "How rare at the peak, by feature", of: contributionBars }
    : { title: "Furthest from normal", of: (r) => featureWords(r[6]) };
  const columns = [
    { title: "Sensor", of: (r) => incidentLink(device, r[0], r[1], r[2]) },
    { title: "When (UTC)", of: (r) => make("span", {}, stretch(r[1], r[2]), ...(r[3] ? [" ", stateMark(true)] : [])), wide: true },
    { title: "Severity", of: (r) => severityMark(r[5]) },
    { title: "Windows", of: (r) => count(r[4]), number: true },
    { title: "Peak", of: (r) => `${day(r[7], false)} ${clock(r[7])}`, number: true },
    { title: "Value then", of: (r) => number(r[8]), number: true },
    why,
  ];
  const fill = (n) => { fillTable(table, columns, rows.slice(0, n)); sayTable(table); };
  fill(SENSORS_AT_FIRST);
  const behind = make("div", { class: "behind" }, make("div", { class: "scroller" }, table));
  if (rows.length > SENSORS_AT_FIRST) {
    const all = () => { fill(rows.length); table.tBodies[0].rows[SENSORS_AT_FIRST].querySelector("button")?.focus(); more.remove(); };
    const more = make("button", { type: "button", onclick: all }, `Show ${plural(rows.length - SENSORS_AT_FIRST, "milder incident")} more`);
    behind.append(more);
  }
  const left = incident.nIncidents - rows.length - incident.stays.length;
  if (left > 0) behind.append(make("p", { class: "hint" }, `${plural(left, "milder incident")} of its sensors left out.`));
  return behind;
}

function incidentItem(incident) {
  const part = (name, ...children) => make("span", { class: name }, ...children);
  const lead = make("summary", {},
    part("rank", make("span", { class: "unseen" }, "Rank "), incident.rank),
    part("who", make("b", {}, whoWords(incident)), " ", stateMark(incident.open), ...youngMark(incident)),
    part("when", isSilent(incident) && incident.open ? `since ${time(incident.start)}` : span(incident.start, incident.end, incident.open)),
    part("what", whatWords(incident), ...adviceMark(incident)),
    levelMark(incident),
    part("how", howWords(incident)));
  const item = make("details", { class: incident.open ? "incident now" : "incident" }, lead);
  item.addEventListener("toggle", () => { if (item.open && item.children.length === 1) item.append(incidentDetails(incident)); });
  return make("li", { value: incident.rank }, item);
}

function incidentsNote() {
  const { n, n_open: open, n_warming_up: young, since } = data.incidents;
  const cut = n > incidents.length ? ` The first ${count(incidents.length)} are listed.` : "";
  const last = young ? ` Last, and not notified by default: ${count(young)} of models that are warming up.` : "";
  const isUnit = (incident) => (incident.advice || "").includes("looks like a change of unit");
  const units = incidents.some(isUnit) ? " Changes of unit come after the others." : "";
  const show = () => { $("incident-state").value = "open"; $("incident-state").dispatchEvent(new Event("change")); };
  const now = open ? make("button", { type: "button", class: "link open-now", onclick: show }, `${count(open)} open now`) : "None open now";
  return [now, `; ${plural(n, "incident")} since ${day(since)}.${units}${last}${cut}`];
}

function outlierList() {
  const { outliers, n_outliers: n } = data.incidents;
  $("outliers").hidden = !n;
  $("outlier-count").textContent = `${plural(n, "outlier reading")}: a window or two of a device`;
  if (!n) return;
  fillTable($("outlier-table"), [
    { title: "Device", of: (r) => r[0] },
    { title: "Sensor", of: (r) => incidentLink(r[0], r[1], r[2], r[2] + data.window) },
    { title: "When (UTC)", of: (r) => time(r[2]), number: true },
    { title: "Severity", of: (r) => severityWords(r[3]), number: true },
    { title: "Most unusual", of: (r) => leadWords(r[4], r[5]) },
  ], outliers);
  $("outlier-note").textContent = n > outliers.length ? `The first ${count(outliers.length)} of ${count(n)}.` : "";
}

function incidentList() {
  const found = data.incidents;
  const say = (...parts) => { $("incidents-note").replaceChildren(...parts); };
  $("incident-tools").hidden = $("incident-hint").hidden = !incidents.length;
  if (!found.known) return say("No incidents computed yet. Run kedro run --pipelines=incidents,report.");
  outlierList();
  if (!incidents.length) return say("No incidents.");
  say(...incidentsNote());
  $("incident-hint").textContent = found.decades
    ? "By priority, and open ones count three times. Priority adds up how rare each window is, over time and the worst three sensors: medium from 3, high from 6, critical from 12. Severity counts decades beyond the threshold. Bars in an incident show how rare each feature alone would make the peak; the tick is where alarms begin."
    : "Severity is 0 at the threshold and grows with the distance from what is normal.";
  const draw = (page) => {
    const text = $("incident-filter").value.trim().toLowerCase();
    const state = $("incident-state").value;
    const shown = incidents.filter((one) => (!state || one.open === (state === "open")) && [one.device, ...one.devices, ...one.sensors].join("\n").toLowerCase().includes(text));
    const nPages = Math.max(1, Math.ceil(shown.length / INCIDENTS_A_PAGE));
    const at = Math.min(page, nPages - 1);
    $("incident-list").replaceChildren(...shown.slice(at * INCIDENTS_A_PAGE, (at + 1) * INCIDENTS_A_PAGE).map(incidentItem));
    $("incidents-empty").hidden = shown.length > 0;
    fillPager($("incident-pager"), at, nPages, "incidents", draw);
  };
  $("incident-filter").addEventListener("input", () => draw(0));
  $("incident-state").addEventListener("change", () => draw(0));
  draw(0);
}
