// Drawing a chart as SVG: scales, axes, lines that stop at gaps, marks. It knows nothing of the page around it.
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

// Limits with some room, so that no line lies on the frame.
function limits(arrays, from, to, also = []) {
  let [low, high] = [Infinity, -Infinity];
  const take = (x) => { if (Number.isFinite(x)) { low = Math.min(low, x); high = Math.max(high, x); } };
  for (const array of arrays) for (let i = from; i < to; i++) take(array[i]);
  also.forEach(take);
  if (low > high) return [0, 1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

// A line's path. Where many windows share a pixel, each pixel keeps its first, lowest, highest and last.
function linePath(values, from, to, x, y, width) {
  const dense = to - from > 3 * width;
  const parts = [];
  let open = false;
  const put = (i, value) => { parts.push(`${open ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`); open = true; };
  for (let i = from; i < to; ) {
    if (!Number.isFinite(values[i])) { open = false; i++; continue; }
    if (!dense) {
      // A window between two gaps is a line of no length; round ends make it a dot.
      if (!open && !Number.isFinite(values[i + 1])) parts.push(`M${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}h.01`);
      else put(i, values[i]);
      i++;
      continue;
    }
    const pixel = Math.floor(x(i));
    let [low, high, end] = [i, i, i];
    for (; end < to && Math.floor(x(end)) === pixel && Number.isFinite(values[end]); end++) {
      if (values[end] < values[low]) low = end;
      if (values[end] > values[high]) high = end;
    }
    for (const k of [...new Set([i, Math.min(low, high), Math.max(low, high), end - 1])]) put(k, values[k]);
    i = end;
  }
  return parts.join("");
}

// The panels of a chart: value above, score with its threshold below, on one axis of time.
function drawChart(box, series, view) {
  const { clientWidth: width, clientHeight: height } = box;
  const frame = { left: 52, right: width - 8, top: 22, middle: Math.round(height * 0.6), lower: Math.round(height * 0.6) + 26, bottom: height - 24 };
  const [from, to] = view;
  const x = (i) => frame.left + ((i + 0.5 - from) / (to - from)) * (frame.right - frame.left);
  const xOfTime = (t) => x((t - series.start) / series.step - 0.5);
  const vertical = ([low, high], top, bottom) => (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const valueLimits = limits([series.value], from, to);
  const scoreLimits = limits([series.score, series.threshold], from, to);
  const y = { value: vertical(valueLimits, frame.top, frame.middle), score: vertical(scoreLimits, frame.lower, frame.bottom) };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" });
  const clip = svg("clipPath", { id: "inside" });
  clip.append(svg("rect", { x: frame.left, y: 0, width: frame.right - frame.left, height }));
  const inside = svg("g", { "clip-path": "url(#inside)" });
  drawShades(inside, series, frame, xOfTime, height);
  drawAxes(root, frame, series, [from, to], xOfTime, y, valueLimits, scoreLimits);
  inside.append(
    svg("path", { class: "value", "stroke-linecap": "round", d: linePath(series.value, from, to, x, y.value, frame.right - frame.left) }),
    svg("path", { class: "score", "stroke-linecap": "round", d: linePath(series.score, from, to, x, y.score, frame.right - frame.left) }),
    svg("path", { class: "limit", d: linePath(series.threshold, from, to, x, y.score, frame.right - frame.left) }),
  );
  for (const i of series.anomalies) {
    if (i < from || i >= to) continue;
    if (Number.isFinite(series.value[i])) inside.append(svg("circle", { class: "dot", cx: x(i).toFixed(1), cy: y.value(series.value[i]).toFixed(1), r: 3.5 }));
    if (Number.isFinite(series.score[i])) inside.append(svg("circle", { class: "dot", cx: x(i).toFixed(1), cy: y.score(series.score[i]).toFixed(1), r: 2.5 }));
  }
  root.prepend(clip, inside);
  root.prepend(root.querySelector(".axes"));
  const marks = svg("g", {});
  root.append(marks);
  box.replaceChildren(root);
  return { frame, x, y, marks, index: (px) => Math.floor(from + ((px - frame.left) / (frame.right - frame.left)) * (to - from)) };
}

function drawShades(group, series, frame, xOfTime, height) {
  if (series.cell) {
    const [left, right] = series.cell.map(xOfTime);
    group.append(svg("rect", { class: "cell", x: left, y: frame.top, width: Math.max(2, right - left), height: frame.bottom - frame.top }));
  }
  for (const [, , start, end] of series.unjudged) {
    const [left, right] = [Math.max(xOfTime(start), frame.left), Math.min(xOfTime(end), frame.right)];
    if (right > left) group.append(svg("rect", { class: "unjudged", x: left, y: frame.top, width: right - left, height: frame.bottom - frame.top }));
  }
  for (const [, , kind, start, end] of series.faults) {
    const [left, right] = [xOfTime(start), xOfTime(end)];
    if (right < frame.left || left > frame.right) continue;
    group.append(svg("rect", { class: "fault", x: left, y: frame.top, width: Math.max(3, right - left), height: frame.bottom - frame.top }));
    const late = left > frame.right - 90;
    group.append(svg("text", { class: "fault-name", x: late ? Math.min(right, frame.right) - 3 : Math.max(left, frame.left) + 3, y: frame.middle - 6, "text-anchor": late ? "end" : "start" }, kind.replaceAll("_", " ")));
  }
  // Incidents lie as stripes between the two panels; a short one stays wide enough to see.
  for (const [, , start, end, , open] of series.incidents) {
    const [left, right] = [xOfTime(start), open ? Math.max(xOfTime(end), frame.right) : xOfTime(end)];
    if (right < frame.left || left > frame.right) continue;
    group.append(svg("rect", { class: "incident-stripe", x: left, y: frame.middle + 3, width: Math.max(3, right - left), height: 5, rx: 1.5 }));
  }
}

function drawAxes(root, frame, series, [from, to], xOfTime, y, valueLimits, scoreLimits) {
  const axes = svg("g", { class: "axes" });
  const level = (value, at, text) => {
    axes.append(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: at, y2: at }));
    axes.append(svg("text", { x: frame.left - 6, y: at + 4, "text-anchor": "end" }, text));
  };
  for (const value of ticks(...valueLimits, 5)) level(value, y.value(value), number(value));
  for (const value of ticks(...scoreLimits, 3)) level(value, y.score(value), number(value));
  const about = Math.max(3, Math.floor((frame.right - frame.left) / 70));
  for (const { t, text } of timeTicks(series.start + from * series.step, series.start + to * series.step, about)) {
    const at = xOfTime(t);
    axes.append(svg("line", { class: "grid", x1: at, x2: at, y1: frame.top, y2: frame.bottom }));
    if (at > frame.left + 14 && at < frame.right - 14) axes.append(svg("text", { x: at, y: frame.bottom + 16, "text-anchor": "middle" }, text));
  }
  axes.append(svg("text", { class: "name", x: frame.left, y: frame.top - 8 }, "value"));
  axes.append(svg("text", { class: "name", x: frame.left, y: frame.lower - 7 }, "score"));
  root.append(axes);
}
