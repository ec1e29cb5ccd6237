// Replicas: one function of a deployment as a row: its figures, with buttons for one replica more or less.
import { button } from "./bar.js";
import { element } from "./values.js";

/** @import { FunctionPulse, State, Request } from "./protocol.js" */

export const FIGURES = [
  "function",
  "state",
  "replicas",
  "events/s",
  "waiting",
  "in flight",
  "errors",
  "dead",
  "p95",
  "",
];
/** @type {Record<FunctionPulse["state"], State>} */
export const LOOKS = { running: "done", starting: "waiting", failing: "failed", stopped: "idle" };

/** @param {FunctionPulse} pulse */
export function rateOf({ rate }) {
  return rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(3));
}

export class FunctionRow {
  /**
   * @param {string} name
   * @param {(wish: Request) => void} send
   */
  constructor(name, send) {
    this.wanted = 0;
    const by = (/** @type {number} */ number) =>
      send({ kind: "scale", function: name, n: Math.max(0, this.wanted + number) });
    this.less = button("−", `One replica of ${name} less`, () => by(-1));
    this.more = button("+", `One replica of ${name} more`, () => by(1));
    this.count = element("span", { class: "nbg-replicas" });
    this.cells = Array.from({ length: 7 }, () => element("td"));
    const [state, ...rest] = this.cells;
    const logs = () => send({ kind: "logs", function: name });
    const scale = element("td", { class: "nbg-scale" }, this.less, this.count, this.more);
    const last = element("td", {}, button("Logs", `What ${name} logged last`, logs));
    this.root = element("tr", {}, element("th", { scope: "row" }, name), state, scale, ...rest, last);
  }

  /** @param {FunctionPulse} found */
  show(found) {
    const { replicas, wanted, backlog } = found;
    this.wanted = wanted;
    this.count.textContent = replicas === wanted ? String(replicas) : `${replicas} of ${wanted}`;
    const waiting = `${backlog}${found.age ? `, oldest ${Math.round(found.age)} s` : ""}`;
    const p95 = found.p95 === null ? "" : `${Number((found.p95 * 1000).toPrecision(3))} ms`;
    const figures = [found.state, rateOf(found), waiting, found.in_flight, found.errors, found.dead, p95];
    for (const [index, value] of figures.entries()) this.cells[index].textContent = String(value);
    this.cells[0].className = `nbg-is-${LOOKS[found.state]}`;
    this.less.setAttribute("aria-disabled", String(wanted <= 0));
  }

  over() {
    this.cells[0].textContent = "stopped";
    this.cells[0].className = "";
    this.count.textContent = "0";
    for (const one of [this.less, this.more]) one.setAttribute("aria-disabled", "true");
  }
}
