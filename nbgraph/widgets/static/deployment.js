// The view of a deployment: a row for each function with its figures and its scale, the picture grouped by function.
import { alertView, button } from "./bar.js";
import { showChild } from "./child.js";
import { join, linked } from "./link.js";
import { noneView } from "./panel.js";
import { FIGURES, FunctionRow, LOOKS, rateOf } from "./replicas.js";
import { around, shape } from "./shapes.js";
import { IDLE, Stage } from "./stage.js";
import { element, valueView } from "./values.js";

/** @import { About, Failures, Figures, FunctionPulse, Model, Picture, Place, Pulse, Message, Request, Step } from "./protocol.js" */

const LEAST = 0.005; // of the time or the room: less is not worth a word
const HELD = 0.95; // of the room, from which whoever fills it waits

class DeploymentView {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.send = (/** @type {Request} */ wish) => model.send(wish);
    /** @type {About} */
    const about = model.get("about");
    this.stage = new Stage(() => {}, { hasMarks: false });
    /** @type {Map<string, SVGElement>} */
    this.frames = new Map(); // a function's name -> where its figures stand in the picture
    this.rows = new Map(about.functions.map(name => [name, new FunctionRow(name, this.send)]));
    this.spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
    this.problem = alertView();
    this.sheet = element("section", { class: "nbg-below", "aria-label": "More", hidden: true });
    this.state = element("span", { class: "nbg-hint" }, "…");
    this.sure = this.question();
    const ask = () => {
      this.sure.hidden = false;
    };
    this.stop = button("Stop", "End the deployment; events in flight are finished", ask);
    this.unchild = () => {};
    const parts = [this.bar(about), this.problem, this.table(), this.stage.root, this.sheet, this.spoken];
    this.root = element("div", { class: "nbg-root nbgraph nbg-deployment" }, ...parts);
  }

  /** @param {About} about */
  bar({ name, url }) {
    const failures = button("Failures", "The events that failed last", () => this.send({ kind: "failures" }));
    const title = element("strong", { title: `In a cell: Deployment.attach("${name}")` }, name);
    const parts = [title, element("span", { class: "nbg-hint" }, url), this.state, failures, this.stop, this.sure];
    return element("div", { class: "nbg-bar", role: "group", "aria-label": "Deployment" }, ...parts);
  }

  question() {
    const answer = (/** @type {boolean} */ isSure) => {
      this.sure.hidden = true;
      if (!isSure) return;
      this.say("stopping…");
      this.send({ kind: "stop" });
    };
    const yes = button("Yes", "Stop it now", () => answer(true));
    const no = button("No", "Let it run", () => answer(false));
    const is = { class: "nbg-sure", hidden: true, role: "group", "aria-label": "Really stop?" };
    return element("span", is, "Really?", yes, no);
  }

  table() {
    const names = FIGURES.map(name => (name ? element("th", { scope: "col" }, name) : element("td")));
    const head = element("thead", {}, element("tr", {}, ...names));
    const body = element("tbody", {}, ...[...this.rows.values()].map(row => row.root));
    const is = { class: "nbg-scroll nbg-functions", role: "region", tabindex: "0", "aria-label": "Functions" };
    return element("div", is, element("table", {}, head, body));
  }

  /** @param {string} words */
  say(words) {
    this.state.textContent = words;
    this.spoken.textContent = words;
  }

  draw() {
    /** @type {Picture} */
    const picture = this.model.get("picture");
    const { stage } = this;
    stage.root.hidden = !picture.svg;
    if (!picture.svg) return;
    stage.draw(picture, this.model.get("direction"));
    this.frames.clear();
    /** @type {NodeListOf<SVGElement>} */
    const groups = stage.root.querySelectorAll("[data-function]");
    for (const group of groups) {
      const { x, y, width, height } = around([...group.querySelectorAll("path, polygon")].slice(0, 1));
      const at = { x: x + width / 2, y: y + height + 14 };
      const words = shape("text", { class: "nbg-count nbg-figures", ...at, "aria-hidden": "true" });
      this.frames.set(picture.functions?.[group.dataset.function ?? ""] ?? "", stage.overlay.appendChild(words));
    }
  }

  /** @param {Pulse} message */
  pulse({ functions, over }) {
    for (const [name, found] of Object.entries(functions)) {
      this.rows.get(name)?.show(found);
      const words = this.frames.get(name);
      if (words) words.textContent = figuresOf(found);
    }
    /** @type {Picture} */
    const { of = {} } = this.model.get("picture");
    /** @type {Record<string, Figures>} */
    const steps = {};
    /** @type {Map<string, string>} */
    const paths = new Map(this.model.get("picture").steps.map((/** @type {Step} */ step) => [step.id, step.path]));
    for (const [id, name] of Object.entries(of)) {
      if (over) steps[id] = IDLE;
      else if (functions[name]) steps[id] = lookOf(functions, name, paths.get(id) ?? "");
    }
    this.stage.show({ steps, lines: {} });
    if (over) this.over();
    else if (this.state.textContent === "…") this.say("running");
  }

  over() {
    this.say("stopped");
    for (const row of this.rows.values()) row.over();
    for (const words of this.frames.values()) words.textContent = "stopped";
    this.stop.setAttribute("aria-disabled", "true");
  }

  /**
   * @param {string} title
   * @param {...Node} parts
   */
  open(title, ...parts) {
    this.unchild();
    this.unchild = () => {};
    this.sheet.hidden = false;
    this.sheet.setAttribute("aria-label", title);
    const close = () => {
      this.sheet.hidden = true;
    };
    const head = element("header", {}, element("h3", {}, title), button("×", "Close", close));
    this.sheet.replaceChildren(head, ...parts);
  }

  /** @param {Message} message */
  receive(message) {
    if (message.kind === "pulse") this.pulse(message);
    else if (message.kind === "did") this.problem.say(message.problem);
    else if (message.kind === "failures") this.open("Failures", failuresView(message, this.send));
    else if (message.kind === "child") this.showDebugger(message.model);
    else if (message.kind === "logs") {
      const is = { tabindex: "0", role: "region", "aria-label": "Log lines" };
      this.open(`Logs of ${message.function}`, element("pre", is, message.text || "nothing was logged"));
    }
  }

  /** @param {string} id */
  async showDebugger(id) {
    const place = element("div");
    this.open("Debugger", place);
    try {
      this.unchild = await showChild(this.model, id, place);
    } catch (error) {
      place.textContent = `This front end can't show it here: ${error instanceof Error ? error.message : error}`;
    }
  }
}

/**
 * A function's figures, as small print under its frame.
 * @param {FunctionPulse} found
 */
function figuresOf(found) {
  const more = `${found.backlog ? ` · ${found.backlog} wait` : ""}${found.errors ? ` · ${found.errors} failed` : ""}`;
  return `${found.replicas}× · ${rateOf(found)}/s${more}`;
}

/**
 * A step as its function is, with the part of the workers' time that it takes, or of its room that is taken: in words
 * and as a bar.
 * @param {Record<string, FunctionPulse>} functions
 * @param {string} name
 * @param {string} step
 * @returns {Figures}
 */
function lookOf(functions, name, step) {
  const { state, rate, busy } = functions[name];
  const look = state === "running" && rate ? "running" : LOOKS[state];
  const fill = Object.values(functions).find(found => step in found.fill)?.fill[step]; // told by whoever reads it
  const share = fill ?? busy[step] ?? 0;
  const words = `${percent(share)} ${fill === undefined ? "busy" : share >= HELD ? "full, holds back" : "full"}`;
  return [look, 0, 0, 0, 0, 0, share >= LEAST ? words : "", share >= HELD ? 1 : share];
}

/** @param {number} share */
function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/**
 * @param {Failures} message
 * @param {(wish: Request) => void} send
 */
function failuresView({ rows, canDebug }, send) {
  if (!rows.length) return noneView("no event failed");
  const parts = rows.map((row, index) => {
    const debug = () => send({ kind: "debug", index });
    const act = canDebug ? button("Debug", "Stand before the step that failed, in this notebook", debug) : null;
    const head = element("summary", {}, `${row.step}  ${row.error}`);
    return element("details", {}, head, valueView(row.body, false), act);
  });
  return element("div", {}, ...parts);
}

/** @param {Place} place */
function render({ model, el }) {
  const link = linked(model);
  const view = new DeploymentView(link);
  const unjoin = join(link, el, view.root, {
    "change:picture": () => view.draw(),
    "msg:custom": message => view.receive(message),
  });
  view.draw();
  return () => {
    view.unchild();
    view.stage.close();
    unjoin();
  };
}

export default { render };
