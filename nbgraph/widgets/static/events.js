// Events: the last events that went through, found by text, error, duration; the way of one; those along an arrow.
import { button } from "./bar.js";
import { callView, framed, kept, noneView } from "./panel.js";
import { element } from "./values.js";

/** @import { LineEvents, EventRow, EventPath } from "./protocol.js" */
/** @typedef {{ text: string, failed: boolean, slower: number }} Filter */
/** @typedef {(id: string) => void} Open shows one event's way */

// A list in a panel with fields that narrow it.
export class EventList {
  /**
   * @param {(filter: Filter) => void} ask has the kernel send rows
   * @param {Open} open
   */
  constructor(ask, open) {
    const atLeast = { min: "0", step: "1", placeholder: "0", "aria-label": "At least so many milliseconds" };
    this.text = element("input", { type: "search", placeholder: "id, step, error", "aria-label": "Find events" });
    this.failed = element("input", { type: "checkbox" });
    this.slower = element("input", { type: "number", ...atLeast });
    this.list = element("ol", { class: "nbg-events" });
    this.ask = () => {
      const slower = Number(this.slower.value) || 0;
      ask({ text: this.text.value.trim(), failed: this.failed.checked, slower });
    };
    this.open = open;
    for (const field of [this.text, this.failed, this.slower]) {
      field.addEventListener("input", this.ask);
      field.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
    }
    const only = element("label", {}, this.failed, " failed");
    this.head = element(
      "div",
      { class: "nbg-filter" },
      this.text,
      only,
      element("label", {}, "≥ ", this.slower, " ms"),
    );
  }

  /**
   * @param {HTMLElement} panel
   * @param {EventRow[]} rows
   * @param {() => void} close
   */
  show(panel, rows, close) {
    this.list.replaceChildren(...rows.map(row => this.row(row)));
    if (!rows.length) this.list.append(element("li", { class: "nbg-none" }, "no events"));
    if (!panel.contains(this.head)) framed(panel, "Last events", close, this.head, this.list);
  }

  /** @param {EventRow} row */
  row(row) {
    const end = row.error || (row.failed ? `handled: ${row.handled}` : row.last);
    const words = `${short(row.id)}  ${row.ms === null ? "…" : `${row.ms} ms`}  ${row.steps} steps  ${end}`;
    const is = { class: row.failed ? "nbg-bad" : "" };
    return element(
      "li",
      {},
      button(words, `Event ${row.id}`, () => this.open(row.id), is),
    );
  }
}

/**
 * Of a long id the end, in which ids of one run differ.
 * @param {string} id
 */
function short(id) {
  return id.length > 14 ? `…${id.slice(-9)}` : id;
}

/**
 * One event: each step with its input and output, in the order they ran.
 * @param {HTMLElement} panel
 * @param {EventPath} way
 * @param {() => void} close
 * @param {() => void} back
 */
export function showWay(panel, { id, stops }, close, back) {
  const parts = stops.map(stop => callView(stop));
  const all = button("All events", "Back to the list", back);
  framed(panel, `Event ${id}`, close, all, ...parts, stops.length ? null : noneView("It is not kept any more."));
}

/**
 * The events that went along an arrow.
 * @param {HTMLElement} panel
 * @param {LineEvents} along
 * @param {() => void} close
 * @param {Open} open
 */
export function showLine(panel, { title, rows }, close, open) {
  const parts = rows.map(row => {
    const head = element("summary", {}, `${short(row.id)}  ${row.reason || "always followed"}`);
    const whole = button("The whole event", `Event ${row.id}`, () => open(row.id));
    return element("details", {}, head, kept(row.output), whole);
  });
  framed(panel, title, close, ...parts, rows.length ? null : noneView("No event went along here yet."));
}
