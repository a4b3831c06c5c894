// A chart of panels: which part of the time is in sight, where the cursor is; read and zoomed by keys, mouse and finger.
const chart = { box: null, readout: null, panels: [], view: [0, 1], drawing: null, at: null };

// Shows other panels. `words` says what is at a time, `flags` are the times of anomalies, `onSpan` hears of another part in sight.
function openChart(content, span = null) {
  Object.assign(chart, { cell: null, onSpan: () => {} }, content, { view: [content.start, content.end], at: null });
  if (span) setSpan(...span);
  else drawChart();
}

function drawChart() {
  if (!chart.panels.length || !chart.box.clientWidth) return;
  chart.drawing = drawPanels(chart.box, chart.panels, chart.view, chart.step, chart.cell);
  const [from, to] = chart.view;
  const whole = from <= chart.start && to >= chart.end;
  document.querySelectorAll("[data-zoom]").forEach((button) => {
    button.disabled = { in: to - from <= 12 * chart.step, all: whole, out: whole, earlier: from <= chart.start, later: to >= chart.end }[button.dataset.zoom];
  });
  showCursor();
}

function setSpan(from, to) {
  const length = Math.min(chart.end - chart.start, Math.max(12 * chart.step, to - from));
  const start = Math.max(chart.start, Math.min(chart.end - length, from));
  chart.view = [start, start + length];
  drawChart();
  chart.onSpan();
}

function zoomTo(how) {
  const [from, to] = chart.view;
  const length = to - from;
  const middle = chart.at !== null && chart.at >= from && chart.at <= to ? chart.at : (from + to) / 2;
  const spans = { in: [middle - length / 4, middle + length / 4], out: [middle - length, middle + length], earlier: [from - length / 2, to - length / 2], later: [from + length / 2, to + length / 2], all: [chart.start, chart.end] };
  setSpan(...spans[how]);
}

const isTouched = () => matchMedia("(hover: none)").matches;

function showCursor() {
  const { drawing, at } = chart;
  drawing.marks.replaceChildren();
  if (at === null) {
    chart.readout.textContent = `${stretch(...chart.view)} UTC. ${isTouched() ? "Tap the charts to read a value." : "Point at the charts, or move with the arrow keys."}`;
    return;
  }
  const px = drawing.x(at);
  if (px >= drawing.left && px <= drawing.right) drawing.marks.append(svg("line", { class: "cursor", x1: px, x2: px, y1: drawing.top, y2: drawing.bottom }));
  chart.readout.textContent = chart.words(at);
}

function moveTo(t) {
  chart.at = Math.max(chart.start, Math.min(chart.end - 1, t));
  const [from, to] = chart.view;
  if (chart.at < from || chart.at > to) setSpan(chart.at - (to - from) / 2, chart.at + (to - from) / 2);
  else showCursor();
}

function nextFlag(direction) {
  const now = chart.at ?? (direction > 0 ? -Infinity : Infinity);
  const found = direction > 0 ? chart.flags.find((t) => t > now + 1) : chart.flags.findLast((t) => t < now - 1);
  if (found !== undefined) moveTo(found);
  else chart.readout.textContent = `No ${direction > 0 ? "later" : "earlier"} anomaly of ${chart.name} in this range.`;
}

function chartKey(event) {
  if (!chart.panels.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const now = chart.at ?? chart.view[0] - chart.step / 2;
  const step = chart.step * (event.shiftKey ? 10 : 1);
  const keys = {
    ArrowRight: () => moveTo(now + step), ArrowLeft: () => moveTo(now - step), Home: () => moveTo(chart.view[0]), End: () => moveTo(chart.view[1] - 1),
    n: () => nextFlag(1), p: () => nextFlag(-1), "+": () => zoomTo("in"), "=": () => zoomTo("in"), "-": () => zoomTo("out"), Escape: () => zoomTo("all"),
  };
  const action = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!action) return;
  action();
  event.preventDefault();
}

// A mouse points and drags a zoom; a finger reads, and what it has read stays.
function chartPointer(box) {
  let pressed = null;
  const at = (event) => event.clientX - box.getBoundingClientRect().left;
  const read = (event) => {
    const t = chart.drawing.time(at(event));
    if (t >= chart.view[0] && t <= chart.view[1]) { chart.at = t; showCursor(); }
  };
  const listen = (target, kind, act) => target.addEventListener(kind, (event) => { if (chart.panels.length) act(event); });
  listen(box, "pointerdown", (event) => { if (event.pointerType === "touch") read(event); else pressed = at(event); });
  listen(box, "pointermove", (event) => {
    read(event);
    if (pressed !== null && Math.abs(at(event) - pressed) > 6) {
      const { marks, top, bottom } = chart.drawing;
      marks.append(svg("rect", { class: "brush", x: Math.min(pressed, at(event)), y: top, width: Math.abs(at(event) - pressed), height: bottom - top }));
    }
  });
  listen(window, "pointerup", (event) => {
    if (pressed === null) return;
    const [a, b] = [pressed, at(event)].map(chart.drawing.time).sort((p, q) => p - q);
    if (Math.abs(at(event) - pressed) > 6) setSpan(a, b);
    pressed = null;
  });
  listen(box, "pointercancel", () => { pressed = null; });
  listen(box, "pointerleave", (event) => { if (event.pointerType !== "touch" && pressed === null && document.activeElement !== box) { chart.at = null; showCursor(); } });
}

function readyChart(box, readout) {
  Object.assign(chart, { box, readout });
  box.addEventListener("keydown", chartKey);
  chartPointer(box);
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => { if (chart.panels.length) zoomTo(button.dataset.zoom); }));
  new ResizeObserver(drawChart).observe(box);
}
