// Panel: what one step saw and did, in tabs.
import { element, valueView } from "./values.js";

/** @import { Call, Inspected, FrameDetail, Shown } from "./protocol.js" */
/** @typedef {(Inspected | FrameDetail) & { step: string, index?: number | null, branch?: number | null, compared?: boolean }} Page */
/** @typedef {Record<string, (message: any) => Node>} Pages what draws a tab; others show a value */
/** @typedef {{ tabs: string[], chosen: string, choose: (name: string) => void, close?: () => void, pages?: Pages, acts?: Node[] }} Filling */

/**
 * Fill a panel: name, tabs, the chosen tab's page. What has the focus, and how far it is scrolled, stays.
 * @param {HTMLElement} panel
 * @param {Page} message
 * @param {Filling} filling
 */
export function fillPanel(panel, message, { tabs, chosen, choose, close, pages = {}, acts = [] }) {
  const names = tabs.filter(
    name =>
      (name !== "error" || message.error) &&
      (name !== "printed" || message.printed) &&
      (name !== "routes" || message.inside.length),
  );
  const shown = names.includes(chosen) ? chosen : names.includes("output") && message.output ? "output" : names[0];
  const focused = panel.contains(document.activeElement) ? document.activeElement : null;
  const wasOnTab = focused?.getAttribute("role") === "tab";
  const page = panel.querySelector(".nbg-sheet");
  const of = `${message.name}/${shown}`;
  const scrolled = page?.getAttribute("data-of") === of ? page.scrollTop : 0;
  const list = tabList(names, shown, choose);
  const is = { class: "nbg-sheet", role: "tabpanel", tabindex: "0", "aria-label": shown, "data-of": of };
  const sheet = element("div", is, pages[shown]?.(message) ?? pageView(message, shown));
  const parts = [titleView(message.name, close, ...acts), list, sheet];
  if (message.note) parts.splice(1, 0, element("p", { class: "nbg-bad" }, message.note));
  openPanel(panel, close, ...parts);
  sheet.scrollTop = scrolled;
  /** @type {HTMLElement | null} */
  const tab = list.querySelector('[aria-selected="true"]');
  if (wasOnTab) tab?.focus();
  else if (focused) sheet.focus({ preventScroll: true }); // else the view's keys would go nowhere
}

/**
 * The name of what a panel shows, and what can be done with it.
 * @param {string} name
 * @param {(() => void) | undefined} close
 * @param {...Node} acts
 */
function titleView(name, close, ...acts) {
  const end = close && element("button", { type: "button", "aria-label": "Close", onclick: close }, "×");
  return element("header", {}, element("h3", {}, name), ...acts, end);
}

/**
 * @param {HTMLElement} panel
 * @param {(() => void) | undefined} close
 * @param {...Node} parts
 */
function openPanel(panel, close, ...parts) {
  panel.hidden = false;
  panel.replaceChildren(...parts);
  panel.onkeydown = event => {
    if (event.key !== "Escape" || !close) return;
    event.stopPropagation();
    close();
  };
}

/**
 * A panel without tabs.
 * @param {HTMLElement} panel
 * @param {string} title
 * @param {() => void} close
 * @param {...(Node | null | undefined)} parts
 */
export function framed(panel, title, close, ...parts) {
  const is = { class: "nbg-sheet", tabindex: "0", role: "region", "aria-label": title };
  openPanel(panel, close, titleView(title, close), element("div", is, ...parts));
}

/**
 * @param {string[]} names
 * @param {string} shown
 * @param {(name: string) => void} choose
 */
function tabList(names, shown, choose) {
  const tabs = names.map(name => {
    const [selected, tabindex] = name === shown ? ["true", "0"] : ["false", "-1"];
    const is = { type: "button", role: "tab", "aria-selected": selected, tabindex, onclick: () => choose(name) };
    return element("button", is, name);
  });
  const list = element("div", { class: "nbg-tabs", role: "tablist", "aria-label": "What to show" }, ...tabs);
  list.addEventListener("keydown", event => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    event.stopPropagation();
    choose(names[(names.indexOf(shown) + by + names.length) % names.length]);
  });
  return list;
}

/**
 * @param {Page} message
 * @param {string} tab
 */
function pageView(message, tab) {
  if (tab === "error" || tab === "code" || tab === "printed") {
    return element("pre", {}, message[tab] || "no source to be had");
  }
  if (tab === "timing") return factsView(message);
  if (tab === "statistics") return listView("statistics" in message ? message.statistics : {});
  if (tab === "diff") return diffView(message);
  if (tab === "routes") return element("div", {}, ...message.inside.map(one => callView(one, true)));
  const side = tab === "input" ? "input" : "output";
  return message[side] || !message.error ? wholeView(message, side) : noneView();
}

export function noneView(words = "none: the step failed") {
  return element("p", { class: "nbg-none" }, words);
}

/**
 * What went in or came out, to be opened as far as one likes; what a notebook shows better is shown by it on request.
 * @param {Page} message
 * @param {"input" | "output"} side
 */
export function wholeView(message, side) {
  const of = { step: message.step, index: message.index, branch: message.branch, side };
  const place = element("div", { class: "nbg-shown" });
  const isRich = side === "input" ? message.inputIsRich : message.outputIsRich;
  const ask = (/** @type {MouseEvent} */ event) =>
    event.target?.dispatchEvent(new CustomEvent("nbg-show", { bubbles: true, detail: { of, place } }));
  const show = element("button", { type: "button", class: "nbg-more", onclick: ask }, "Show it as a cell would");
  return element("div", {}, valueView(message[side], true, { of, path: [] }), isRich ? show : null, place);
}

/**
 * One call, of a step in an event's way or of a route inside of a step: what went in and came out.
 * @param {Call} call
 */
export function callView(call, isOpen = false) {
  const head = `${call.step}  ${call.ms} ms${call.error ? `  ${call.error}` : ""}`;
  return element(
    "details",
    { class: call.error ? "nbg-bad" : "", open: isOpen },
    element("summary", {}, head),
    call.reason ? element("p", { class: "nbg-hint" }, call.reason) : null,
    element("p", { class: "nbg-hint" }, "in"),
    kept(call.input),
    element("p", { class: "nbg-hint" }, "out"),
    kept(call.output),
    call.printed ? element("p", { class: "nbg-hint" }, "printed") : null,
    call.printed ? element("pre", {}, call.printed) : null,
  );
}

/** @param {Shown | null} shown */
export function kept(shown) {
  return shown ? valueView(shown, false) : noneView("not kept: there was no time, or nothing came of it");
}

/** @param {Page} message */
function factsView(message) {
  return listView({
    ...message.facts,
    "last, ms": message.seconds ? Math.round(message.seconds * 1e6) / 1e3 : "",
    event: message.event,
    visit: message.visit,
    "goes on to": message.goes.join(", ") || (message.dropped ? "nowhere: dropped" : ""),
    because: message.reason,
  });
}

/** @param {Page} message */
function diffView({ diff = [], compared = false }) {
  if (!diff.length) return noneView(compared ? "the fork gave the same" : "nothing changed");
  const names = compared ? ["path", "main", "the fork"] : ["path", "before", "after"];
  const head = element("tr", {}, ...names.map(name => element("th", { scope: "col" }, name)));
  const rows = diff.map(([path, before, after]) => {
    const was = element("td", { class: "nbg-was" }, folded(before));
    const is = element("td", { class: "nbg-is" }, folded(after));
    return element("tr", {}, element("th", { scope: "row" }, path), was, is);
  });
  return element("table", { class: "nbg-diff" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

/**
 * In a narrow column a table is opened on request.
 * @param {Shown} shown
 */
function folded(shown) {
  if (shown.kind !== "table") return valueView(shown, false);
  return element("details", {}, element("summary", {}, shown.text), valueView(shown));
}

/** @param {Record<string, string | number | undefined>} facts */
function listView(facts) {
  const told = Object.entries(facts).filter(([, value]) => value !== "" && value !== undefined);
  const pairs = told.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]);
  return element("dl", {}, ...pairs);
}
