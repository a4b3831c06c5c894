// What was done is said once: neither a reload nor a link that is sent says it again.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  for (const name of ["done", "devices", "incidents"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);
}
// Each page begins with what it has.
if ($("sign-in")) signedInAlready();
else refresh();
if ($("filters")) { searchAsTyped(); readyMap(); }
$("incident-filters")?.addEventListener("change", (event) => event.currentTarget.requestSubmit());
if ($("panels")) devicePanels();
document.querySelectorAll("[data-fill]").forEach((bar) => { bar.style.width = `${Math.min(100, Math.max(4, Number(bar.dataset.fill)))}%`; });
// What takes seconds comes after the page.
document.querySelectorAll("[data-load]").forEach(async (part) => {
  const answer = await fetch(part.dataset.load).catch(() => null);
  if (!answer) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById(part.id);
  if (found) part.replaceWith(found);
  else part.querySelector("p").textContent = page.querySelector("main p")?.textContent ?? "The versions cannot be read.";
});
