// The live view of a graph: toolbar, picture, and a panel with what a step last saw. State is the kernel's; this draws.
import {
  PICTURE_KEYS,
  alertView,
  button,
  choice,
  download,
  foldButton,
  keyList,
  pictureBar,
  replacedView,
} from "./bar.js";
import { serveShown, showChild } from "./child.js";
import { Dock } from "./dock.js";
import { EventList, showLine, showWay } from "./events.js";
import { join, linked } from "./link.js";
import { fillPanel } from "./panel.js";
import { Stage, wishOf } from "./stage.js";
import { element } from "./values.js";

/** @import { Inspected, Model, Place, Progress, Status, Message } from "./protocol.js" */
/** @import { Act } from "./stage.js" */

const TABS = ["input", "output", "diff", "routes", "printed", "error", "code", "timing", "statistics"];

class GraphView {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.opened = ""; // the step that the panel shows
    this.tab = "output";
    this.asked = 0;
    this.wasRunning = false;
    this.drawn = ""; // what the panel was drawn from last
    this.told = ""; // what the deployment does
    this.stage = new Stage((kind, id, on) => this.act(kind, id, on));
    this.spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
    this.panel = element("section", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
    this.below = element("section", { class: "nbg-below", "aria-label": "Deployment", hidden: true });
    this.problem = alertView();
    this.progress = progressView();
    this.close = () => this.closePanel();
    this.openEvent = (/** @type {string} */ id) => model.send({ kind: "event", id });
    this.events = new EventList(filter => model.send({ kind: "events", ...filter }), this.openEvent);
    const main = element("div", { class: "nbg-main" });
    this.root = element("div", { class: "nbg-root nbgraph" });
    main.append(this.panel);
    this.dock = new Dock(main, this.panel, false);
    this.keys = keyList(this.root, [...PICTURE_KEYS, ["p", "hold events before the step"]]);
    const parts = [replacedView(model), this.bar(), this.keys.list, this.problem, main, this.below, this.spoken];
    this.root.append(...parts);
    main.prepend(this.stage.root, this.stage.table?.root ?? "");
    this.root.addEventListener("keydown", event => this.dock.press(event));
  }

  bar() {
    const deploy = (/** @type {string} */ target) => this.model.send({ kind: "deploy", target });
    const title = { title: "Host this graph in processes or in containers" };
    const targets = choice("Deploy the graph", title, this.model.get("targets"), deploy, "deploy…");
    const events = button("Events", "List the last events", () => this.listEvents());
    const parts = [foldButton(this.model), events, targets, ...this.dock.buttons, this.keys.button, this.progress.root];
    return pictureBar(this.model, this.stage, this.spoken, ...parts);
  }

  /**
   * What a person does in the picture.
   * @param {Act} kind
   * @param {string} id
   * @param {boolean} on
   */
  act(kind, id, on) {
    this.problem.say("");
    if (kind === "inspect") this.opened = id;
    if (kind === "line") this.opened = "";
    this.model.send(wishOf(kind, id, on));
  }

  listEvents() {
    this.opened = "";
    this.events.ask();
  }

  draw() {
    this.stage.draw(this.model.get("picture"), this.model.get("direction"));
    this.mark();
    this.model.send({ kind: "hello" });
  }

  // Breakpoints, and the steps that can't run.
  mark() {
    this.stage.setBreakpoints(this.model.get("breakpoints"));
    this.stage.setFaults(this.model.get("faults"));
  }

  /** @param {Message} message */
  receive(message) {
    const { panel, close } = this;
    if (message.kind === "status") this.showStatus(message);
    else if (message.kind === "inspected") this.showStep(message);
    else if (message.kind === "events") this.events.show(panel, message.rows, close);
    else if (message.kind === "event") showWay(panel, message, close, () => this.listEvents());
    else if (message.kind === "line") showLine(panel, message, close, this.openEvent);
    else if (message.kind === "saved") download(message);
    else if (message.kind === "deploying") this.tell(message.text);
    else if (message.kind === "child") this.showDeployment(message.model);
    else if (message.kind === "problem") {
      this.below.hidden = this.below.textContent === this.told;
      this.problem.say(message.text);
    }
  }

  /** @param {Status} message */
  showStatus(message) {
    this.stage.show(message);
    this.progress.show(message.progress);
    this.speak(message);
    if (this.opened && message.steps[this.opened]) this.askSoon();
  }

  /** @param {Status} message */
  speak(message) {
    const failed = Object.entries(message.steps).find(([, [state]]) => state === "failed");
    if (this.wasRunning && !message.running) this.spoken.textContent = "Run finished.";
    if (failed) {
      const [id, [, , , , , , note]] = failed;
      this.spoken.textContent = `${this.stage.steps.get(id)?.name} failed: ${note}`;
    }
    this.wasRunning = message.running;
  }

  // An open panel follows the run, a few times a second.
  askSoon() {
    const ask = () => {
      this.asked = 0;
      if (this.opened) this.model.send({ kind: "inspect", step: this.opened });
    };
    this.asked ||= setTimeout(ask, 300);
  }

  /** @param {Inspected} message */
  showStep(message) {
    if (message.step !== this.opened) return;
    if (message.error && this.tab === "output") this.tab = "error";
    const text = JSON.stringify(message);
    const isSame = text === this.drawn && !this.panel.hidden && this.panel.querySelector(".nbg-tabs");
    if (isSame) return; // what a person has opened in it stays open
    if (this.panel.matches(":active"))
      this.askSoon(); // drawn between press and release, a button would lose its click
    else {
      this.drawn = text;
      this.fill(message);
    }
  }

  /** @param {Inspected} message */
  fill(message) {
    const choose = (/** @type {string} */ name) => {
      this.tab = name;
      this.fill(message);
    };
    const [word, label] = message.isHeld
      ? ["Go on", "Let the events that wait before it go on  p"]
      : ["Hold", "Let events wait before it while the other steps go on  p"];
    const hold = button(word, label, () => this.stage.act("hold", message.step, !message.isHeld));
    fillPanel(this.panel, message, { tabs: TABS, chosen: this.tab, choose, close: this.close, acts: [hold] });
  }

  closePanel() {
    this.panel.hidden = true;
    this.opened = "";
    this.stage.focus(this.stage.current);
  }

  /** @param {string} text */
  tell(text) {
    this.told = text;
    this.below.hidden = false;
    this.below.replaceChildren(element("p", { class: "nbg-hint", role: "status" }, text));
  }

  /** @param {string} id */
  showDeployment(id) {
    const can = showChild(this.model, id, this.below);
    can.catch(error => this.tell(`It runs, but this front end can't show it here: ${error.message}`));
  }
}

/** @param {Place} place */
function render({ model, el }) {
  const link = linked(model);
  const view = new GraphView(link);
  const mark = () => view.mark();
  const unjoin = join(link, el, view.root, {
    "change:picture": () => view.draw(),
    "change:breakpoints": mark,
    "change:faults": mark,
    "msg:custom": message => view.receive(message),
  });
  const unshow = serveShown(link, view.root);
  view.draw();
  return () => {
    clearTimeout(view.asked);
    unshow();
    view.stage.close();
    unjoin();
  };
}

// How far a stream is: a bar where its length is known, and figures.
function progressView() {
  const bar = element("progress", { "aria-label": "Events of the stream that are done" });
  const words = element("span");
  const root = element("span", { class: "nbg-progress", hidden: true }, bar, words);
  /** @param {Progress | null | undefined} told */
  const show = told => {
    root.hidden = !told;
    if (!told) return;
    const { done, total, rate } = told;
    const written = (/** @type {number} */ number) => number.toLocaleString("en");
    bar.hidden = total === null;
    bar.max = total || 1;
    bar.value = done;
    words.textContent = `${written(done)}${total === null ? "" : ` of ${written(total)}`} events, ${written(rate)}/s`;
  };
  return { root, show };
}

export default { render };
