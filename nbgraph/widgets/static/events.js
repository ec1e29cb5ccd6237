// Events: the last events that went through, found by text, error, duration; the way of one; those along an arrow.
import { button } from "./bar.js";
import { callView, kept } from "./panel.js";
import { element } from "./values.js";

// A list in a panel with fields that narrow it. `ask(filter)` has the kernel send rows, `open(id)` one event's way.
export class EventList {
  constructor(ask, open) {
    this.text = element("input", { type: "search", placeholder: "id, step, error", "aria-label": "Find events" });
    this.failed = element("input", { type: "checkbox" });
    this.slower = element("input", { type: "number", min: "0", step: "1", placeholder: "0", "aria-label": "At least so many milliseconds" });
    this.list = element("ol", { class: "nbg-events" });
    this.ask = () => ask({ text: this.text.value.trim(), failed: this.failed.checked, slower: Number(this.slower.value) || 0 });
    this.open = open;
    for (const field of [this.text, this.failed, this.slower]) {
      field.addEventListener("input", this.ask);
      field.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
    }
    this.head = element("div", { class: "nbg-filter" }, this.text, element("label", {}, this.failed, " failed"),
      element("label", {}, "≥ ", this.slower, " ms"));
  }

  show(panel, rows, close) {
    this.list.replaceChildren(...rows.map(row => element("li", {}, button(
      `${short(row.id)}  ${row.ms === null ? "…" : `${row.ms} ms`}  ${row.steps} steps  ${row.error || (row.failed ? `handled: ${row.handled}` : row.last)}`,
      `Event ${row.id}`, () => this.open(row.id), { class: row.failed ? "nbg-bad" : "" }))));
    if (!rows.length) this.list.replaceChildren(element("li", { class: "nbg-none" }, "no events"));
    const isOpen = panel.contains(this.head);
    if (!isOpen) framed(panel, "Last events", close, this.head, this.list);
  }
}

// Of a long id the end, in which ids of one run differ.
function short(id) {
  return id.length > 14 ? `…${id.slice(-9)}` : id;
}

// One event: each step with its input and output, in the order they ran.
export function showWay(panel, { id, stops }, close, back) {
  const parts = stops.map(stop => callView(stop));
  framed(panel, `Event ${id}`, close, back && button("All events", "Back to the list", back), ...parts,
    stops.length ? null : element("p", { class: "nbg-none" }, "It is not kept any more."));
}

export function showLine(panel, { title, rows }, close, open) {
  const parts = rows.map(row => element("details", {}, element("summary", {}, `${short(row.id)}  ${row.reason || "always followed"}`), kept(row.output),
    button("The whole event", `Event ${row.id}`, () => open(row.id))));
  framed(panel, title, close, ...parts, rows.length ? null : element("p", { class: "nbg-none" }, "No event went along here yet."));
}

function framed(panel, title, close, ...parts) {
  panel.hidden = false;
  panel.replaceChildren(element("header", {}, element("h3", {}, title), button("×", "Close", close)),
    element("div", { class: "nbg-sheet", tabindex: "0", role: "region", "aria-label": title }, ...parts.filter(Boolean)));
  panel.onkeydown = event => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
}
