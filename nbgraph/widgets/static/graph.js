// The live view of a graph: toolbar, picture, and a panel with what a step last saw. State is the kernel's; this draws.
import { button, download, foldButton, pictureBar } from "./bar.js";
import { EventList, showLine, showWay } from "./events.js";
import { fillPanel } from "./panel.js";
import { Stage } from "./stage.js";
import { followTheme } from "./theme.js";
import { element, servePages } from "./values.js";

const TABS = ["input", "output", "error", "code", "timing"];

function render({ model, el }) {
  let opened = null;
  let tab = "output";
  let asked = 0;
  let wasRunning = false;
  const stage = new Stage((kind, step, on) => {
    if (kind === "inspect") opened = step;
    if (kind === "line") opened = null;
    model.send(kind === "break" || kind === "fold" ? { kind, step, on } : { kind, step, line: step });
  });
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const panel = element("section", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
  const openEvent = id => model.send({ kind: "event", id });
  const events = new EventList(filter => model.send({ kind: "events", ...filter }), openEvent);
  const listEvents = () => {
    opened = null;
    events.ask();
  };
  const bar = pictureBar(model, stage, spoken, foldButton(model), button("Events", "List the last events", listEvents));
  const root = element("div", { class: "nbg-root nbgraph" }, bar, element("div", { class: "nbg-main" }, stage.root, stage.table.root, panel), spoken);

  const breakpoints = () => stage.setBreakpoints(model.get("breakpoints"));
  const draw = () => {
    stage.draw(model.get("picture"), model.get("direction"));
    breakpoints();
    model.send({ kind: "hello" });
  };
  const receive = message => {
    if (message.kind === "status") {
      stage.show(message);
      speak(message);
      if (opened && message.steps[opened]) askSoon();
    } else if (message.kind === "events") events.show(panel, message.rows, close);
    else if (message.kind === "event") showWay(panel, message, close, listEvents);
    else if (message.kind === "line") showLine(panel, message, close, openEvent);
    else if (message.kind === "saved") download(message);
    else if (message.kind === "inspected" && message.step === opened) {
      if (message.error && tab === "output") tab = "error";
      inspect(message);
    }
  };
  // An open panel follows the run, a few times a second.
  const askSoon = () => {
    asked ||= setTimeout(() => {
      asked = 0;
      if (opened) model.send({ kind: "inspect", step: opened });
    }, 300);
  };
  const speak = message => {
    const failed = Object.entries(message.steps).find(([, line]) => line[0] === "failed");
    if (wasRunning && !message.running) spoken.textContent = "Run finished.";
    if (failed) spoken.textContent = `${stage.steps.get(failed[0])?.name} failed: ${failed[1][6]}`;
    wasRunning = message.running;
  };
  const close = () => {
    panel.hidden = true;
    opened = null;
    stage.focus(stage.current);
  };
  const inspect = message => {
    const choose = name => {
      tab = name;
      inspect(message);
    };
    fillPanel(panel, message, { tabs: TABS, chosen: tab, choose, close });
  };

  model.on("change:picture", draw);
  model.on("change:breakpoints", breakpoints);
  model.on("msg:custom", receive);
  const unfollow = followTheme(root);
  const unserve = servePages(model, root);
  el.append(root);
  model.send({ kind: "opened" });
  draw();
  return () => {
    model.off("change:picture", draw);
    model.off("change:breakpoints", breakpoints);
    model.off("msg:custom", receive);
    clearTimeout(asked);
    unfollow();
    unserve();
    stage.close();
    model.send({ kind: "left" });
  };
}

export default { render };
