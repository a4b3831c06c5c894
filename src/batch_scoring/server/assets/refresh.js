// Notices that a run has committed or somebody has acted, and shows the new data; a person who is writing is not disturbed.
const EVERY = 3000;
const KEPT = "fleet-refresh";

let hasWritten = false;
document.addEventListener("input", (event) => { hasWritten ||= Boolean(event.target.closest("form[method=post]")); });
// A reload in place of the answer to a form would hide what was done.
let isSending = false;
document.addEventListener("submit", (event) => { isSending = !event.defaultPrevented; });
addEventListener("pageshow", () => { isSending = false; });
const isWriting = () => hasWritten || Boolean(document.activeElement?.matches("input, textarea, select"));

function say(...parts) {
  $("news").replaceChildren(...parts);
  $("news").hidden = false;
}

// The first part of a version changes with the tables of runs, the second with what people do.
const whatChanged = (before, after) => (before.split("-")[0] === after.split("-")[0] ? "Somebody has acted on an incident or a silence." : "A run has committed.");

function reload(why = "") {
  sessionStorage.setItem(KEPT, JSON.stringify({ path: location.href, why, focus: document.activeElement?.id ?? "" }));
  location.reload();
}

async function look() {
  try {
    const answer = await fetch("/version", { headers: { accept: "text/plain" } });
    if (answer.status === 401 && !isSending) return reload();
    if (!answer.ok) return;
    const version = (await answer.text()).trim();
    if (isSending || version === document.body.dataset.version) return;
    const why = whatChanged(document.body.dataset.version, version);
    document.body.dataset.version = version;
    if (isWriting()) say(`${why} `, make("button", { type: "button", class: "link", onclick: () => reload(why) }, "Show it"));
    else reload(why);
  } catch { /* the server is away: the next look may find it */ }
}

function refresh() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (kept && kept.path === location.href) {
    if (kept.why) say(`Updated. ${kept.why}`);
    if (kept.focus) $(kept.focus)?.focus({ preventScroll: true });
    setTimeout(() => { $("news").hidden = true; }, 6000);
  }
  setInterval(() => { if (document.visibilityState === "visible") look(); }, EVERY);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") look(); });
}

// A link from another site comes without the cookie, for SameSite=Strict; asking from here brings it.
async function signedInAlready() {
  const to = document.querySelector("#sign-in input[name=to]").value;
  const answer = await fetch("/version").catch(() => null);
  if (answer?.ok) location.replace(to);
}
