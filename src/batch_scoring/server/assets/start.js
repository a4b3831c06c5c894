// Each page begins with what it has.
if ($("sign-in")) signedInAlready();
else refresh();
if ($("filters")) { searchAsTyped(); readyMap(); }
$("incident-filters")?.addEventListener("change", (event) => event.currentTarget.requestSubmit());
if ($("panels")) devicePanels();
document.querySelectorAll("[data-fill]").forEach((bar) => { bar.style.width = `${Math.min(100, Math.max(4, Number(bar.dataset.fill)))}%`; });
