// Panel: what one step saw and did, in tabs.
import { element, valueView } from "./values.js";

// Fill a panel: name, tabs, the chosen tab's page. `pages` maps a tab to what draws it; others show a value.
export function fillPanel(panel, message, { tabs, chosen, choose, close, pages = {}, acts = [] }) {
  const names = tabs.filter(name => (name !== "error" || message.error) && (name !== "routes" || message.inside?.length));
  const shown = names.includes(chosen) ? chosen : names.includes("output") && message.output ? "output" : names[0];
  const hadFocus = panel.contains(document.activeElement);
  const focusOnTab = hadFocus && document.activeElement.getAttribute("role") === "tab";
  const page = panel.querySelector(".nbg-sheet");
  const scrolled = page?.dataset.of === `${message.name}/${shown}` ? page.scrollTop : 0;
  const list = element("div", { class: "nbg-tabs", role: "tablist", "aria-label": "What to show" }, ...names.map(name => element("button", {
    type: "button", role: "tab", "aria-selected": String(name === shown), tabindex: name === shown ? "0" : "-1",
    onclick: () => choose(name),
  }, name)));
  list.addEventListener("keydown", event => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.stopPropagation();
    choose(names[(names.indexOf(shown) + by + names.length) % names.length]);
  });
  const sheet = element("div", { class: "nbg-sheet", role: "tabpanel", tabindex: "0", "aria-label": shown },
    (pages[shown] ?? pageView)(message, shown));
  sheet.dataset.of = `${message.name}/${shown}`;
  panel.hidden = false;
  panel.replaceChildren(element("header", {}, element("h3", {}, message.name), ...acts,
    close && element("button", { type: "button", "aria-label": "Close", onclick: close }, "×")),
  ...(message.note ? [element("p", { class: "nbg-bad" }, message.note)] : []), list, sheet);
  sheet.scrollTop = scrolled;
  if (focusOnTab) list.querySelector('[aria-selected="true"]')?.focus();
  else if (hadFocus) sheet.focus({ preventScroll: true }); // else the view's keys would go nowhere
  panel.onkeydown = event => {
    if (event.key !== "Escape" || !close) return;
    event.stopPropagation();
    close();
  };
}

function pageView(message, tab) {
  if (tab === "error" || tab === "code") return element("pre", {}, message[tab] || "no source to be had");
  if (tab === "timing") return factsView(message);
  if (tab === "statistics") return listView(message.statistics);
  if (tab === "diff") return diffView(message);
  if (tab === "routes") return element("div", {}, ...message.inside.map(one => callView(one, true)));
  if (message[tab] || !message.error) return wholeView(message, tab);
  return element("p", { class: "nbg-none" }, "none: the step failed");
}

// What went in or came out, to be opened as far as one likes; what a notebook shows better is shown by it on request.
export function wholeView(message, side) {
  const of = { step: message.step, index: message.index, branch: message.branch, side };
  const place = element("div", { class: "nbg-shown" });
  const show = message[`${side}IsRich`] && element("button", { type: "button", class: "nbg-more", onclick: event =>
    event.target.dispatchEvent(new CustomEvent("nbg-show", { bubbles: true, detail: { of, place } })) }, "Show it as a cell would");
  return element("div", {}, valueView(message[side], true, { of, path: [] }), show || null, place);
}

// One call, of a step in an event's way or of a route inside of a step: what went in and came out.
export function callView(call, isOpen = false) {
  return element("details", { class: call.error ? "nbg-bad" : "", open: isOpen },
    element("summary", {}, `${call.step}  ${call.ms} ms${call.error ? `  ${call.error}` : ""}`),
    call.reason ? element("p", { class: "nbg-hint" }, call.reason) : null,
    element("p", { class: "nbg-hint" }, "in"), kept(call.input), element("p", { class: "nbg-hint" }, "out"), kept(call.output));
}

export function kept(shown) {
  return shown ? valueView(shown, false) : element("p", { class: "nbg-none" }, "not kept: there was no time, or nothing came of it");
}

function factsView(message) {
  const facts = {
    ...message.facts, "last, ms": message.seconds ? Math.round(message.seconds * 1e6) / 1e3 : "", event: message.event,
    visit: message.visit, "goes on to": (message.goes || []).join(", ") || (message.dropped ? "nowhere: dropped" : ""),
    because: message.reason,
  };
  return listView(facts);
}

function diffView({ diff, compared }) {
  const head = compared ? ["path", "this line", "the fork"] : ["path", "before", "after"];
  if (!diff.length) return element("p", { class: "nbg-none" }, compared ? "both lines gave the same" : "nothing changed");
  return element("table", { class: "nbg-diff" },
    element("thead", {}, element("tr", {}, ...head.map(name => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...diff.map(([path, before, after]) => element("tr", {}, element("th", { scope: "row" }, path),
      element("td", { class: "nbg-was" }, folded(before)), element("td", { class: "nbg-is" }, folded(after))))));
}

// In a narrow column a table is opened on request.
function folded(shown) {
  return shown?.kind === "table" ? element("details", {}, element("summary", {}, shown.text), valueView(shown)) : valueView(shown, false);
}

function listView(facts) {
  return element("dl", {}, ...Object.entries(facts).filter(([, value]) => value !== "" && value !== undefined)
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
}
