// The fleet's map: moves like a grid, reads like one, opens a device at a time, zooms; search as one types.
const map = { at: [0, 0] };
const mapCells = (row) => [...row.querySelectorAll("td.c")];
const mapRows = () => [...document.querySelectorAll("#heat tbody tr")];
const iso = (seconds) => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");

function mapPlace(cell) {
  const row = cell.parentNode;
  return [mapRows().indexOf(row), mapCells(row).indexOf(cell)];
}

function mapTime(j) {
  const from = data.first + j * data.cell;
  return [from, from + data.cell];
}

function mapWords(cell) {
  const [, j] = mapPlace(cell);
  const device = cell.parentNode.querySelector("th a").textContent;
  const [windows, anomalies] = [Number(cell.dataset.n), Number(cell.dataset.a)];
  const when = `${device}, ${stretch(...mapTime(j))}`;
  return windows ? `${when}: ${count(anomalies)} of ${plural(windows, "window")} anomalous` : `${when}: nothing scored`;
}

function mapSay(cell) {
  const words = mapWords(cell);
  cell.setAttribute("aria-label", words);
  $("heat-readout").textContent = words;
}

function mapMove(i, j, focus = true) {
  document.querySelector("#heat td.c[tabindex='0']")?.setAttribute("tabindex", "-1");
  const rows = mapRows();
  const row = rows[Math.max(0, Math.min(rows.length - 1, i))];
  if (!row) return;
  const cells = mapCells(row);
  const cell = cells[Math.max(0, Math.min(cells.length - 1, j))];
  if (!cell) return;
  map.at = mapPlace(cell);
  cell.setAttribute("tabindex", "0");
  cell.setAttribute("aria-label", mapWords(cell));
  if (focus) { mapSay(cell); cell.focus(); }
}

// Around the cell, so that what came before it is seen, too.
function mapOpen(cell, zoom) {
  const [from, to] = mapTime(mapPlace(cell)[1]);
  const here = new URL(location.href);
  if (zoom) {
    here.searchParams.set("from", iso(from));
    here.searchParams.set("to", iso(to));
    here.searchParams.delete("page");
    location.assign(here);
    return;
  }
  const link = new URL(cell.parentNode.querySelector("th a").href);
  const around = Math.max(0, 86400 - data.cell) / 2;
  link.searchParams.set("from", iso(from - around));
  link.searchParams.set("to", iso(to + around));
  location.assign(link);
}

function mapKey(event) {
  const cell = event.target.closest("td.c");
  if (!cell) return;
  const [i, j] = mapPlace(cell);
  const moves = { ArrowRight: [i, j + 1], ArrowLeft: [i, j - 1], ArrowDown: [i + 1, j], ArrowUp: [i - 1, j], Home: [i, 0], End: [i, Infinity] };
  if (event.key === "Enter" || event.key === " ") mapOpen(cell, event.shiftKey);
  else if (moves[event.key]) mapMove(...moves[event.key]);
  else return;
  event.preventDefault();
}

// Results change below the field; the URL follows, so that the view can be sent.
function searchAsTyped() {
  const form = $("filters");
  let [timer, asked] = [null, 0];
  const show = async () => {
    const number = ++asked;
    const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    const link = `${form.action.split("?")[0]}?${wanted}`;
    const answer = await fetch(link);
    const text = await answer.text();
    if (!answer.ok || number !== asked) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    $("results").replaceWith(page.getElementById("results"));
    Object.assign(data, JSON.parse(page.getElementById("report-data").textContent));
    history.replaceState(null, "", link);
    readyMap();
  };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(show, event.target.type === "search" ? 200 : 0);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); show(); });
}

function readyMap() {
  const table = $("heat");
  if (!table) return;
  for (const cell of table.querySelectorAll("td.c")) cell.setAttribute("tabindex", "-1");
  mapMove(0, Infinity, false);
  table.addEventListener("keydown", mapKey);
  const over = (event) => { const cell = event.target.closest("td.c"); if (cell) mapSay(cell); };
  table.addEventListener("pointerover", over);
  table.addEventListener("focusin", over);
  table.addEventListener("click", (event) => { const cell = event.target.closest("td.c"); if (cell) mapOpen(cell, event.shiftKey); });
  // Where the map is wider than the screen, the newest is seen first.
  $("heat-scroller").scrollLeft = $("heat-scroller").scrollWidth;
}
