// Tables: plain ones, and one that can be filtered, sorted and paged.

// A column is {title, of: row => text or node, number, wide, key: row => what to sort by}.
function fillTable(table, columns, rows, sort = null) {
  const head = make("tr", {}, ...columns.map((column, i) => headCell(column, i, sort)));
  const body = rows.map((row) =>
    make("tr", {}, ...columns.map((column, i) =>
      make(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: cellClass(column) }, make("span", { class: "cell" }, column.of(row))))));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

const cellClass = (column) => [column.number && "n", column.wide && "wide"].filter(Boolean).join(" ") || null;

function headCell(column, i, sort) {
  if (!sort || !column.key) return make("th", { scope: "col", class: cellClass(column) }, column.title);
  const button = make("button", { type: "button", onclick: () => sort.by(i) }, column.title);
  const direction = sort.column !== i ? "none" : sort.descending ? "descending" : "ascending";
  return make("th", { scope: "col", class: cellClass(column), "aria-sort": direction }, button);
}

function fillPager(pager, page, nPages, what, go) {
  const step = (label, to, off) => make("button", { type: "button", disabled: off, onclick: () => go(to), "aria-label": `${label} ${what}` }, label);
  if (nPages <= 1) return pager.replaceChildren();
  // The buttons are replaced under the finger that pressed one of them: keep the focus there.
  const focused = [...pager.querySelectorAll("button")].indexOf(document.activeElement);
  pager.replaceChildren(step("Previous", page - 1, page === 0), make("span", {}, `${page + 1} of ${nPages}`), step("Next", page + 1, page === nPages - 1));
  const buttons = [...pager.querySelectorAll("button")];
  if (focused >= 0) (buttons[focused].disabled ? buttons[1 - focused] : buttons[focused]).focus();
}

function statusTable() {
  const s = data.status;
  const rows = s.device.map((device, i) => ({
    device, sensor: s.sensor[i], stage: s.stage[i], status: s.status[i], parts: s.n_parts[i],
    windows: s.n_windows[i], anomalies: s.n_anomalies[i], message: s.message[i] ?? "",
  }));
  const mark = (row) => make("span", { class: row.status === "ok" ? "mark ok" : "mark" }, row.status);
  const columns = [
    { title: "Device", of: (r) => seriesLink(r.device, r.sensor, r.device), key: (r) => r.device },
    { title: "Sensor", of: (r) => r.sensor, key: (r) => r.sensor },
    { title: "Stage", of: (r) => r.stage, key: (r) => r.stage },
    { title: "Status", of: mark, key: (r) => r.status },
    { title: "Windows", of: (r) => count(r.windows ?? 0), key: (r) => r.windows ?? 0, number: true },
    { title: "Anomalies", of: (r) => count(r.anomalies ?? 0), key: (r) => r.anomalies ?? 0, number: true },
    { title: "Message", of: (r) => r.message, key: (r) => r.message, wide: true },
  ];
  const state = { page: 0, column: null, descending: false };
  const size = 15;
  const statuses = [...new Set(rows.map((r) => r.status))].sort();
  $("status-choice").append(make("option", { value: "" }, "any"), ...statuses.map((name) => make("option", { value: `=${name}` }, name)));
  state.by = (i) => {
    state.descending = state.column === i ? !state.descending : Boolean(columns[i].number);
    state.column = i;
    draw(0);
    $("status").querySelectorAll("thead button")[i].focus();
  };
  function draw(page) {
    const text = $("status-filter").value.trim().toLowerCase();
    const status = $("status-choice").value.slice(1);
    let shown = rows.filter((r) => (!status || r.status === status) && `${r.device}\n${r.sensor}\n${r.message}`.toLowerCase().includes(text));
    if (state.column !== null) shown = sortRows(shown, columns[state.column].key, state.descending);
    const nPages = Math.max(1, Math.ceil(shown.length / size));
    state.page = Math.min(page, nPages - 1);
    fillTable($("status"), columns, shown.slice(state.page * size, (state.page + 1) * size), state);
    fillPager($("status-pager"), state.page, nPages, "rows of the status table", draw);
    $("status-note").textContent = statusNote(shown.length, rows);
  }
  $("status-filter").addEventListener("input", () => draw(0));
  $("status-choice").addEventListener("change", () => draw(0));
  document.querySelector("#status-tools").hidden = !rows.length;
  $("status").hidden = !rows.length;
  draw(0);
}

function sortRows(rows, key, descending) {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  });
}

function statusNote(nShown, rows) {
  if (!data.n_status) return "No step has reported yet.";
  const cut = data.n_status > rows.length ? ` of the first ${count(rows.length)}, out of ${count(data.n_status)}` : ` of ${count(rows.length)}`;
  const troubled = rows.filter((r) => r.status !== "ok").length;
  const first = troubled ? "What is not ok comes first." : "Everything is ok.";
  return `${count(nShown)}${cut} row${nShown === 1 ? "" : "s"}. ${first}`;
}

function seriesLink(device, sensor, text) {
  const found = findSeries(device, sensor);
  if (found === null) return text;
  return make("button", { type: "button", class: "link", onclick: () => openSeries(...found, { scroll: true }) }, text);
}

function worstTable() {
  const worst = data.devices.map((row, i) => [row, i]).filter(([row]) => row[2] > 0).slice(0, 10);
  const most = worst.length ? worst[0][0][2] : 1;
  const bar = (n) => {
    const fill = make("i");
    fill.style.width = `${(100 * n) / most}%`;
    return make("span", { class: "bar", "aria-hidden": "true" }, fill);
  };
  if (!worst.length) return $("worst").replaceWith(make("p", { class: "empty" }, "No window of any device is anomalous."));
  fillTable($("worst"), [
    { title: "Device", of: ([row, i]) => make("span", {}, make("button", { type: "button", class: "link", onclick: () => openSeries(i, row[5], { scroll: true }) }, row[0]), bar(row[2])) },
    { title: "Most on", of: ([row]) => sensorName(row[5]) ?? "–" },
    { title: "Anomalies", of: ([row]) => count(row[2]), number: true },
    { title: "Share", of: ([row]) => percent(row[2], row[1]), number: true },
    { title: "Last", of: ([row]) => (row[4] === null ? "–" : `${day(row[4], false)} ${clock(row[4])}`), number: true },
  ], worst);
}

function knownTable() {
  const known = data.known;
  $("known").hidden = !known;
  if (!known) return;
  const found = known.kinds.reduce((sum, kind) => sum + kind[1], 0);
  const total = known.kinds.reduce((sum, kind) => sum + kind[2], 0);
  $("known-note").textContent = `${found} of ${total} found: an anomalous window of the same device and sensor overlaps the fault, or its silence. ` +
    `${plural(known.false_alarms, "anomalous window")} outside any known fault: ${known.rate.toFixed(2)} per device-day.`;
  fillTable($("known-table"), [
    { title: "Kind", of: (kind) => kind[0].replaceAll("_", " ") },
    { title: "Found", of: (kind) => count(kind[1]), number: true },
    { title: "Of", of: (kind) => count(kind[2]), number: true },
    { title: "Share", of: (kind) => percent(kind[1], kind[2]), number: true },
  ], known.kinds);
}

function quarantineTable() {
  const rows = data.quarantine;
  $("quarantine-note").textContent = rows.length
    ? `${plural(data.counts.quarantined, "reading")} refused. An example of each reason is shown as it came.`
    : "No reading was refused.";
  if (!rows.length) return $("quarantine").remove();
  // Of a very large quarantine the older rows are not counted by reason.
  const place = (r) => (r.row === null ? "see the table quarantine" : `${r.source ?? "?"}, row ${r.row}`);
  const example = (r) => r.row === null ? "" : [r.device, r.sensor, r.timestamp, r.value].map((field) => (field === null || field === "" ? "(empty)" : field)).join(" · ");
  fillTable($("quarantine"), [
    { title: "Reason", of: (r) => r.reason.replaceAll("_", " ") },
    { title: "Readings", of: (r) => count(r.count), number: true },
    { title: "First one", of: (r) => make("span", {}, example(r), make("br"), make("span", { class: "quiet" }, place(r))), wide: true },
  ], rows);
}

function versionsTable() {
  const shown = data.versions;
  $("versions-note").textContent = !shown.length ? "No model has scored anything yet."
    : shown.length < data.n_versions ? `The first ${shown.length} of ${count(data.n_versions)} that made these predictions.`
    : "The versions that made these predictions.";
  if (!shown.length) return $("versions").remove();
  fillTable($("versions"), [
    { title: "Sensor", of: (v) => v[0] },
    { title: "Version", of: (v) => v[1] ?? "–" },
    { title: "Devices", of: (v) => count(v[2]), number: true },
    { title: "Windows", of: (v) => count(v[3]), number: true },
    { title: "Scored", of: (v) => `${day(v[4], false)} to ${day(v[5], false)}`, number: true },
  ], shown);
}
