// The page: headline counts, colours, and the start of everything else.
function theme() {
  const button = $("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const label = () => {
    $("theme-name").textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${$("theme-name").textContent} colours`);
  };
  button.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; label(); });
  dark.addEventListener("change", label);
  label();
}

function cards() {
  const c = data.counts;
  const reasons = Object.entries(c.not_scored_by_status).map(([status, n]) => `${count(n)} ${status}`).join(", ");
  const of = c.windows && c.windows !== c.scored ? `of ${count(c.windows)}, ` : "";
  const all = [
    c.readings === null ? null : ["Readings", count(c.readings), `from ${plural(c.sources, "source")}`],
    ["Windows scored", count(c.scored), `${of}${duration(data.window).join(" ")}${duration(data.window)[0] === 1 ? "" : "s"} each`],
    ["Models", count(c.models), `${plural(data.n_devices, "device")}, ${plural(c.sensors, "sensor")}`],
    data.incidents.known ? ["Open incidents", count(data.incidents.n_open), `of ${plural(data.incidents.n, "device incident")}`, data.incidents.n_open > 0] : null,
    ["Anomalies", count(c.anomalies), `on ${plural(c.anomalous_devices, "device")}`],
    ["Anomaly share", percent(c.anomalies, c.scored), "of the scored windows"],
    ["Quarantined", count(c.quarantined), c.quarantined ? "refused readings" : "nothing was refused"],
    ["Not scored", count(c.not_scored), c.not_scored ? reasons : "every series is scored", c.not_scored > 0],
  ];
  $("counts").append(...all.filter(Boolean).map(([name, value, detail, alarm]) =>
    make("div", {}, make("dt", {}, name), make("dd", { class: alarm ? "number alarm" : "number" }, value), make("dd", { class: "detail" }, detail))));
}

theme();
cards();
if (data.start === null) {
  $("range").textContent = "Nothing has been scored yet. Run kedro run, then open this page again.";
  for (const id of ["counts-panel", "incidents-panel", "map", "drill", "worst-panel"]) $(id).hidden = !(id === "counts-panel" && data.counts.readings);
} else {
  $("range").textContent = `${time(data.start)} to ${time(data.end)} UTC, ${eachOf(data.window)} windows${data.history === null ? "" : `; history since ${day(data.history)}`}`;
  incidentList();
  heatMap();
  drillDown();
}
worstTable();
knownTable();
quarantineTable();
versionsTable();
statusTable();
