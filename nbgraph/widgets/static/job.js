// The view of a job: its parts as a strip, its figures, the rows that failed.
import { button } from "./bar.js";
import { showChild } from "./child.js";
import { join, linked } from "./link.js";
import { element, valueView } from "./values.js";

/** @import { Failures, JobStatus, Model, Place, Message, Request } from "./protocol.js" */

/** @type {Record<string, string>} */
const PARTS = { d: "done", x: "failed", r: "running", s: "searching", ".": "waiting" };

class JobView {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.send = (/** @type {Request} */ wish) => model.send(wish);
    this.words = element("span", { class: "nbg-hint" });
    this.strip = element("div", { class: "nbg-parts", role: "img" });
    this.steps = element("table", { class: "nbg-counts", hidden: true });
    this.spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
    this.problem = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
    this.sheet = element("section", { class: "nbg-below", "aria-label": "Failures", hidden: true });
    this.failures = button("Failures", "The rows that failed", () => this.send({ kind: "failures" }));
    this.stop = button("Stop", "End its workers; what is done stays", () => this.send({ kind: "stop" }));
    this.resume = button("Resume", "Run what is missing", () => this.send({ kind: "resume" }));
    this.state = "";
    this.unchild = () => {};
    const is = { class: "nbg-bar", role: "group", "aria-label": "Job" };
    const bar = element("div", is, this.words, this.failures, this.stop, this.resume);
    const parts = [bar, this.strip, this.steps, this.problem, this.sheet, this.spoken];
    this.root = element("div", { class: "nbg-root nbgraph nbg-job" }, ...parts);
  }

  /** @param {JobStatus} told */
  show({ state, words, parts, of, failed, steps, problem }) {
    if (state !== this.state) this.spoken.textContent = `${state}: ${words}`;
    this.state = state;
    this.words.textContent = `${words} · ${state}`;
    this.strip.setAttribute("aria-label", `${of} parts: ${countsOf(parts)}`);
    this.strip.replaceChildren(...[...parts].map(part => element("i", { class: `nbg-part-${PARTS[part]}` })));
    this.steps.hidden = !steps.length;
    this.steps.replaceChildren(countsTable(steps));
    this.failures.hidden = !failed;
    this.stop.hidden = state !== "running";
    this.resume.hidden = state === "running" || state === "done";
    this.say(problem);
  }

  /** @param {string} problem */
  say(problem) {
    this.problem.hidden = !problem;
    this.problem.textContent = problem;
  }

  /** @param {Message} message */
  receive(message) {
    if (message.kind === "job") this.show(message);
    else if (message.kind === "did" && message.problem) this.say(message.problem);
    else if (message.kind === "failures") this.open(...this.list(message));
    else if (message.kind === "child") this.debug(message.model);
  }

  /** @param {...Node} parts */
  open(...parts) {
    this.unchild();
    this.unchild = () => {};
    this.sheet.hidden = false;
    const close = () => {
      this.sheet.hidden = true;
    };
    this.sheet.replaceChildren(element("header", {}, button("×", "Close", close)), ...parts);
  }

  /** @param {Failures} message */
  list({ rows, canDebug }) {
    return rows.map((row, index) => {
      const debug = () => this.send({ kind: "debug", index });
      const act = canDebug ? button("Debug", "Stand before the step that failed, in this notebook", debug) : null;
      const head = element("summary", {}, `row ${row.id}  ${row.step}  ${row.error}`);
      return element("details", {}, head, valueView(row.body, false), act);
    });
  }

  /** @param {string} id */
  async debug(id) {
    const place = element("div");
    this.open(place);
    try {
      this.unchild = await showChild(this.model, id, place);
    } catch (error) {
      place.textContent = `This front end can't show it here: ${error instanceof Error ? error.message : error}`;
    }
  }
}

/** @param {JobStatus["steps"]} steps */
function countsTable(steps) {
  const head = element("tr", {}, ...["step", "events", "failed"].map(word => element("th", { scope: "col" }, word)));
  const rows = steps.map(([name, came, failed]) => {
    const figures = [came === null ? "" : came.toLocaleString("en"), failed ? failed.toLocaleString("en") : ""];
    const cells = figures.map(text => element("td", {}, text));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  return element("tbody", {}, head, ...rows);
}

/** @param {string} parts */
function countsOf(parts) {
  const counted = Object.entries(PARTS).map(([letter, name]) => [parts.split(letter).length - 1, name]);
  return counted
    .filter(([number]) => number)
    .map(([number, name]) => `${number} ${name}`)
    .join(", ");
}

/** @param {Place} place */
function render({ model, el }) {
  const link = linked(model);
  const view = new JobView(link);
  const unjoin = join(link, el, view.root, {
    "change:told": () => view.show(model.get("told")),
    "msg:custom": message => view.receive(message),
  });
  view.show(model.get("told"));
  return () => {
    view.unchild();
    unjoin();
  };
}

export default { render };
