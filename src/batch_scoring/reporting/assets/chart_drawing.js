// Drawing panels under one another with one axis of time, as SVG: scales, axes, lines that stop at gaps, marks.
const PANEL = { left: 54, right: 10, gap: 30 };

function svg(tag, attributes, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// Round numbers that divide a range into a few parts.
function ticks(low, high, about) {
  const raw = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

const TIME_STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 5184000, 15552000, 31104000];

function timeTicks(from, to, about) {
  const step = TIME_STEPS.find((s) => (to - from) / s <= about) ?? TIME_STEPS[TIME_STEPS.length - 1];
  const found = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) found.push({ t, text: step >= 86400 || t % 86400 === 0 ? day(t, step >= 5184000) : clock(t) });
  return found;
}

// Where two windows are further apart than this, the line is broken.
const isBreak = (t, i, step) => i > 0 && t[i] - t[i - 1] > 1.5 * step;

// A path through the points in sight, and one beyond each edge; many in a pixel keep lowest and highest.
function timePath(t, v, x, y, step, [from, to]) {
  const parts = [];
  let [open, pixel, low, high, last] = [false, null, null, null, null];
  const put = (i) => { parts.push(`${open ? "L" : "M"}${x(t[i]).toFixed(1)} ${y(v[i]).toFixed(1)}`); open = true; };
  const flush = () => {
    if (pixel === null) return;
    for (const i of [...new Set([Math.min(low, high), Math.max(low, high), last])]) put(i);
    pixel = null;
  };
  for (let i = 0; i < t.length; i++) {
    if (t[i] < from - step || t[i] > to + step) continue;
    if (!Number.isFinite(v[i])) { flush(); open = false; continue; }
    if (isBreak(t, i, step)) { flush(); open = false; }
    if (!open && pixel === null && (i + 1 >= t.length || !Number.isFinite(v[i + 1]) || isBreak(t, i + 1, step))) {
      parts.push(`M${x(t[i]).toFixed(1)} ${y(v[i]).toFixed(1)}h.01`);
      continue;
    }
    const here = Math.floor(x(t[i]));
    if (here !== pixel) { flush(); [pixel, low, high] = [here, i, i]; }
    if (v[i] < v[low]) low = i;
    if (v[i] > v[high]) high = i;
    last = i;
  }
  flush();
  return parts.join("");
}

// The area between lower and upper; an open end goes to the edge of the panel.
function bandPath(t, lower, upper, x, y, step, [from, to], [bottom, top]) {
  const parts = [];
  let run = [];
  const close = () => {
    if (run.length) {
      const up = run.map((i) => `${x(t[i]).toFixed(1)} ${y(Number.isFinite(upper[i]) ? upper[i] : top).toFixed(1)}`);
      const down = run.slice().reverse().map((i) => `${x(t[i]).toFixed(1)} ${y(Number.isFinite(lower[i]) ? lower[i] : bottom).toFixed(1)}`);
      parts.push(`M${[...up, ...down].join("L")}Z`);
    }
    run = [];
  };
  for (let i = 0; i < t.length; i++) {
    if (t[i] < from - step || t[i] > to + step) continue;
    if (isBreak(t, i, step) || Number.isNaN(lower[i]) || Number.isNaN(upper[i])) close();
    if (!Number.isNaN(lower[i]) && !Number.isNaN(upper[i])) run.push(i);
  }
  close();
  return parts.join("");
}

// What is in sight decides the scale; a wild band or reading does not squeeze the values to a line.
function panelLimits(lines, band, [from, to]) {
  let [low, high] = [Infinity, -Infinity];
  const take = (t, v) => { for (let i = 0; i < t.length; i++) if (t[i] >= from && t[i] <= to && Number.isFinite(v[i])) { low = Math.min(low, v[i]); high = Math.max(high, v[i]); } };
  for (const { t, v, scales = true } of lines) if (scales) take(t, v);
  if (low > high) for (const { t, v } of lines) take(t, v);
  if (low > high && band) { take(band.t, band.lower); take(band.t, band.upper); }
  if (low > high) return [0, 1];
  if (band) {
    const span = high - low || Math.abs(high) * 0.1 || 1;
    const [l, h] = [low, high];
    const reach = (v) => { for (let i = 0; i < band.t.length; i++) if (band.t[i] >= from && band.t[i] <= to && Number.isFinite(v[i]) && v[i] > l - 0.8 * span && v[i] < h + 0.8 * span) { low = Math.min(low, v[i]); high = Math.max(high, v[i]); } };
    take(band.t, band.expected);
    reach(band.lower);
    reach(band.upper);
  }
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function drawPanel(root, panel, frame, x, view, step, clip) {
  const { top, bottom } = frame;
  const limit = panelLimits(panel.lines, panel.band, view);
  const y = (value) => bottom - ((Math.min(Math.max(value, limit[0] - 1e12), limit[1] + 1e12) - limit[0]) / (limit[1] - limit[0])) * (bottom - top);
  const inside = svg("g", { "clip-path": `url(#${clip})` });
  for (const value of ticks(...limit, Math.max(2, Math.floor((bottom - top) / 34)))) {
    root.append(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(value), y2: y(value) }));
    root.append(svg("text", { x: frame.left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)));
  }
  const shade = (kind, from, to) => {
    const [a, b] = [Math.max(x(from), frame.left), Math.min(x(to), frame.right)];
    if (b > a) inside.append(svg("rect", { class: kind, x: a, y: top, width: Math.max(2, b - a), height: bottom - top }));
  };
  for (const [from, to] of panel.gaps ?? []) shade("gap", from, to);
  for (const [from, to] of panel.unjudged ?? []) shade("unjudged", from, to);
  for (const [from, to, name] of panel.faults ?? []) {
    shade("fault", from, to);
    const isLate = x(from) > frame.right - 90;
    if (name && x(to) >= frame.left && x(from) <= frame.right) inside.append(svg("text", { class: "fault-name", x: isLate ? Math.min(x(to), frame.right) - 3 : Math.max(x(from), frame.left) + 3, y: bottom - 6, "text-anchor": isLate ? "end" : "start" }, name));
  }
  const stripe = (kind, from, to, open) => {
    const [a, b] = [x(from), open ? Math.max(x(to), x(view[1])) : x(to)];
    if (b >= frame.left && a <= frame.right) inside.append(svg("rect", { class: kind, x: a, y: bottom + 2, width: Math.max(3, b - a), height: 4, rx: 1.5 }));
  };
  for (const [from, to, open] of panel.incidents ?? []) stripe("incident-stripe", from, to, open);
  // Up to when a stay was usual, and then too long.
  for (const [from, until, to, open] of panel.stays ?? []) {
    stripe("usual-stripe", from, until, false);
    stripe("incident-stripe", until, to, open);
  }
  if (panel.band) {
    const { t, lower, upper, expected } = panel.band;
    inside.append(svg("path", { class: "band", d: bandPath(t, lower, upper, x, y, step, view, limit) }));
    inside.append(svg("path", { class: "expected", d: timePath(t, expected, x, y, step, view) }));
  }
  for (const { kind, t, v, every } of panel.lines) inside.append(svg("path", { class: kind, d: timePath(t, v, x, y, every ?? step, view) }));
  for (const [t, v] of panel.dots ?? []) if (Number.isFinite(v) && t >= view[0] && t <= view[1]) inside.append(svg("circle", { class: "dot", cx: x(t).toFixed(1), cy: y(v).toFixed(1), r: 3.2 }));
  root.append(inside);
  root.append(svg("text", { class: "name", x: frame.left, y: top - 8 }, panel.title));
}

// All panels of a box, over the cell of time they were opened from, if any; returns their scale of time, and where marks are drawn.
function drawPanels(box, panels, view, step, cell) {
  const width = box.clientWidth;
  const [left, right] = [PANEL.left, width - PANEL.right];
  const [from, to] = view;
  const x = (t) => left + ((t - from) / (to - from)) * (right - left);
  const height = panels.reduce((sum, panel) => sum + panel.height + PANEL.gap, 26);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true", focusable: "false" });
  const defs = svg("defs", {});
  const lines = svg("pattern", { id: "gap-lines", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  lines.append(svg("line", { class: "gap-line", x1: 0, y1: 0, x2: 0, y2: 6 }));
  defs.append(lines);
  root.append(defs);
  const ends = height - 20;
  const times = svg("g", {});
  for (const { t, text } of timeTicks(from, to, Math.max(3, Math.floor((right - left) / 72)))) {
    times.append(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: 18, y2: ends }));
    if (x(t) > left + 14 && x(t) < right - 14) times.append(svg("text", { x: x(t), y: ends + 14, "text-anchor": "middle" }, text));
  }
  const [first, last] = (cell ?? []).map((t) => Math.max(left, Math.min(right, x(t))));
  if (last > first) times.append(svg("rect", { class: "cell", x: first, y: 18, width: Math.max(2, last - first), height: ends - 18 }));
  root.append(times);
  let top = 24;
  for (const [i, panel] of panels.entries()) {
    const frame = { left, right, top, bottom: top + panel.height };
    const clip = svg("clipPath", { id: `clip-${i}` });
    clip.append(svg("rect", { x: left, y: top - 1, width: right - left, height: panel.height + 9 }));
    defs.append(clip);
    top += panel.height + PANEL.gap;
    drawPanel(root, panel, frame, x, view, step, `clip-${i}`);
  }
  const marks = svg("g", {});
  root.append(marks);
  box.replaceChildren(root);
  return { x, marks, top: 18, bottom: ends, left, right, time: (px) => from + ((px - left) / (right - left)) * (to - from) };
}
