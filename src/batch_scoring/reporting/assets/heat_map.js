// The heat map: devices down, time across; a real table, so that it reads and moves like one.
const HEAT_ROWS = 25;
const LEVELS = [0.02, 0.05, 0.15, 0.4];
const heat = {
  windows: unpack(data.heat.windows, data.heat.kind), anomalies: unpack(data.heat.anomalies, data.heat.kind),
  shown: [], page: 0, active: [0, 0], totals: new Map(),
};
const cellStart = (j) => (data.heat.first + j) * data.cell;

// Windows and anomalous windows of each cell of a device, over all of its sensors or one of them.
function deviceCells(device, sensor) {
  const n = data.heat.n;
  const sums = { windows: new Float64Array(n), anomalies: new Float64Array(n) };
  data.series.forEach(([d, s], row) => {
    if (d !== device || (sensor !== null && s !== sensor)) return;
    for (let j = 0; j < n; j++) {
      sums.windows[j] += heat.windows[row * n + j];
      sums.anomalies[j] += heat.anomalies[row * n + j];
    }
  });
  return sums;
}

function heatLevel(anomalies, windows) {
  if (!windows) return "none";
  if (!anomalies) return "h0";
  const share = anomalies / windows;
  return `h${1 + LEVELS.filter((level) => share > level).length}`;
}

const heatSensor = () => ($("heat-sensor").value === "" ? null : Number($("heat-sensor").value));

function chooseHeatDevices() {
  const text = $("heat-filter").value.trim().toLowerCase();
  const sensor = heatSensor();
  const own = new Map();
  for (const [d, s, windows, anomalies] of data.series) {
    if (sensor !== null && s !== sensor) continue;
    const sum = own.get(d) ?? [0, 0];
    own.set(d, [sum[0] + windows, sum[1] + anomalies]);
  }
  heat.totals = own;
  const shown = [...own.keys()].filter((d) => deviceName(d).toLowerCase().includes(text));
  const byName = new Intl.Collator("en", { numeric: true }).compare;
  if ($("heat-order").value === "name") shown.sort((a, b) => byName(deviceName(a), deviceName(b)));
  else shown.sort((a, b) => own.get(b)[1] - own.get(a)[1] || a - b);
  heat.shown = shown;
}

// Time labels: one for each day, or each month where there are many days.
function heatHeadings() {
  const label = (t) => (data.cell < 86400 || data.heat.n <= 31 ? day(t, false) : `${MONTHS[new Date(t * 1000).getUTCMonth()]} ${new Date(t * 1000).getUTCFullYear()}`);
  const groups = [];
  for (let j = 0; j < data.heat.n; j++) {
    const name = label(cellStart(j));
    const last = groups[groups.length - 1];
    if (last && last.name === name) last.span += 1;
    else groups.push({ name, span: 1 });
  }
  return groups;
}

function drawHeatHead() {
  const groups = heatHeadings();
  const every = Math.ceil(groups.length / 16);
  const cells = [];
  for (let i = 0; i < groups.length; i += every) {
    const part = groups.slice(i, i + every);
    cells.push(make("th", { scope: "colgroup", colspan: part.reduce((sum, group) => sum + group.span, 0), title: part[0].name }, part[0].name));
  }
  $("heat").tHead.replaceChildren(make("tr", {}, make("th", { scope: "col" }, "Device"), ...cells));
}

function drawHeat(page = 0) {
  const nPages = Math.max(1, Math.ceil(heat.shown.length / HEAT_ROWS));
  heat.page = Math.max(0, Math.min(page, nPages - 1));
  const devices = heat.shown.slice(heat.page * HEAT_ROWS, (heat.page + 1) * HEAT_ROWS);
  heat.cells = devices.map((device) => deviceCells(device, heatSensor()));
  const rows = devices.map((device, i) => {
    const { windows, anomalies } = heat.cells[i];
    const cells = Array.from(windows, (n, j) => make("td", { class: heatLevel(anomalies[j], n), tabindex: "-1", "aria-label": cellWords(i, j, devices) }));
    return make("tr", { "aria-rowindex": heat.page * HEAT_ROWS + i + 2 }, make("th", { scope: "row", title: deviceName(device) }, deviceName(device)), ...cells);
  });
  heat.devices = devices;
  $("heat").tBodies[0].replaceChildren(...rows);
  $("heat").setAttribute("aria-rowcount", heat.shown.length + 1);
  $("heat-scroller").hidden = !devices.length;
  $("heat-empty").hidden = devices.length > 0;
  moveHeat(0, Math.min(heat.active[1], data.heat.n - 1), false);
  fillPager($("heat-pager"), heat.page, nPages, "devices of the map", drawHeat);
}

function cellWords(i, j, devices = heat.devices) {
  const { windows, anomalies } = heat.cells[i];
  const when = `${deviceName(devices[i])}, ${stretch(cellStart(j), cellStart(j) + data.cell)}`;
  return windows[j] ? `${when}: ${count(anomalies[j])} of ${plural(windows[j], "window")} anomalous` : `${when}: nothing scored`;
}

const heatCell = (i, j) => $("heat").tBodies[0].rows[i]?.cells[j + 1];

function moveHeat(i, j, focus = true) {
  heatCell(...heat.active)?.setAttribute("tabindex", "-1");
  heat.active = [i, j];
  const cell = heatCell(i, j);
  cell?.setAttribute("tabindex", "0");
  if (focus && cell) {
    cell.focus();
    $("heat-readout").textContent = cellWords(i, j);
  }
}

function heatKey(event) {
  const [i, j] = heat.active;
  const [rows, columns] = [heat.devices.length, data.heat.n];
  const moves = {
    ArrowRight: [i, j + 1], ArrowLeft: [i, j - 1], ArrowDown: [i + 1, j], ArrowUp: [i - 1, j],
    Home: event.ctrlKey ? [0, 0] : [i, 0], End: event.ctrlKey ? [rows - 1, columns - 1] : [i, columns - 1],
  };
  if (event.key === "Enter" || event.key === " ") openCell(i, j);
  else if (event.key === "PageDown" || event.key === "PageUp") {
    drawHeat(heat.page + (event.key === "PageDown" ? 1 : -1));
    moveHeat(0, j);
  } else if (moves[event.key]) {
    const [row, column] = moves[event.key];
    moveHeat(Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column)));
  } else return;
  event.preventDefault();
}

// A cell over all sensors opens the sensor with the most anomalies in it, else the device's worst.
function openCell(i, j) {
  const device = heat.devices[i];
  if (device === undefined) return;
  const own = data.series.map(([d, s, , total], row) => ({ d, s, total, here: heat.anomalies[row * data.heat.n + j] }))
    .filter((one) => one.d === device && (heatSensor() === null || one.s === heatSensor()));
  own.sort((a, b) => b.here - a.here || b.total - a.total || a.s - b.s);
  document.querySelector("#heat td.picked")?.classList.remove("picked");
  heatCell(i, j).classList.add("picked");
  openSeries(device, own[0].s, { scroll: true, from: cellStart(j), to: cellStart(j) + data.cell });
}

function heatNote() {
  const total = data.n_devices > data.devices.length ? `The worst ${count(data.devices.length)} of ${count(data.n_devices)} devices. ` : "";
  return `${total}A cell is ${duration(data.cell).join(" ").replace(/^1 /, "one ")}${duration(data.cell)[0] === 1 ? "" : "s"} of a device. Choose one to see its windows below.`;
}

function heatMap() {
  $("heat-sensor").append(make("option", { value: "" }, "all sensors"), ...data.sensors.map((name, s) => make("option", { value: s }, name)));
  $("heat-note").textContent = heatNote();
  const names = ["none", ...LEVELS.map((level, i) => `${i ? "to" : "up to"} ${level * 100} %`), `over ${LEVELS[3] * 100} %`];
  $("heat-legend").append("Anomalous windows:", ...names.map((name, i) => make("span", {}, make("i", { class: `h${i}` }), name)),
    make("span", {}, make("i", { class: "none" }), "nothing scored"));
  const redraw = () => { chooseHeatDevices(); drawHeat(0); };
  $("heat-sensor").addEventListener("change", redraw);
  $("heat-filter").addEventListener("input", redraw);
  $("heat-order").addEventListener("change", redraw);
  const body = $("heat").tBodies[0];
  const place = (event) => {
    const cell = event.target.closest("td");
    return cell && [cell.parentNode.sectionRowIndex, cell.cellIndex - 1];
  };
  body.addEventListener("keydown", heatKey);
  body.addEventListener("pointerover", (event) => { const at = place(event); if (at) $("heat-readout").textContent = cellWords(...at); });
  body.addEventListener("focusin", (event) => { const at = place(event); if (at) $("heat-readout").textContent = cellWords(...at); });
  body.addEventListener("click", (event) => {
    const at = place(event);
    if (!at || event.target.classList.contains("none")) return;
    moveHeat(...at, false);
    openCell(...at);
  });
  drawHeatHead();
  redraw();
  // Where the map is wider than the screen, the newest is seen first.
  $("heat-scroller").scrollLeft = $("heat-scroller").scrollWidth;
}
