// The live view of a graph: toolbar, picture, and a panel with what a step last saw. State is the kernel's; this draws.
import { button, download, foldButton, pictureBar } from "./bar.js";
import { serveShown, showChild } from "./child.js";
import { EventList, showLine, showWay } from "./events.js";
import { fillPanel } from "./panel.js";
import { Stage } from "./stage.js";
import { followTheme } from "./theme.js";
import { element, servePages } from "./values.js";

const TABS = ["input", "output", "diff", "routes", "error", "code", "timing", "statistics"];

function render({ model, el }) {
  let opened = null;
  let tab = "output";
  let asked = 0;
  let wasRunning = false;
  let drawn = ""; // what the panel was drawn from last
  const stage = new Stage((kind, step, on) => {
    problem.hidden = true;
    if (kind === "inspect") opened = step;
    if (kind === "line") opened = null;
    model.send({ kind, step, on, line: step });
  });
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const panel = element("section", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
  const openEvent = id => model.send({ kind: "event", id });
  const events = new EventList(filter => model.send({ kind: "events", ...filter }), openEvent);
  const listEvents = () => {
    opened = null;
    events.ask();
  };
  const below = element("section", { class: "nbg-below", "aria-label": "Deployment", hidden: true });
  const deploy = element("select", { "aria-label": "Deploy the graph", title: "Host this graph in processes or in containers", onchange: event => {
    model.send({ kind: "deploy", target: event.target.value });
    event.target.value = "";
  } }, element("option", { value: "" }, "deploy…"), ...["process", "docker"].map(name => element("option", { value: name }, name)));
  const progress = progressView();
  const problem = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
  const bar = pictureBar(model, stage, spoken, foldButton(model), button("Events", "List the last events", listEvents), deploy, progress.root);
  const root = element("div", { class: "nbg-root nbgraph" }, bar, problem, element("div", { class: "nbg-main" }, stage.root, stage.table.root, panel), below, spoken);

  const breakpoints = () => stage.setBreakpoints(model.get("breakpoints"));
  const draw = () => {
    stage.draw(model.get("picture"), model.get("direction"));
    breakpoints();
    model.send({ kind: "hello" });
  };
  const receive = message => {
    if (message.kind === "status") {
      stage.show(message);
      progress.show(message.progress);
      speak(message);
      if (opened && message.steps[opened]) askSoon();
    } else if (message.kind === "events") events.show(panel, message.rows, close);
    else if (message.kind === "event") showWay(panel, message, close, listEvents);
    else if (message.kind === "line") showLine(panel, message, close, openEvent);
    else if (message.kind === "saved") download(message);
    else if (message.kind === "deploying") tell(message.text);
    else if (message.kind === "child") showChild(model, message.model, below).catch(error => tell(`It runs, but this front end can't show it here: ${error.message}`));
    else if (message.kind === "problem") {
      below.hidden = below.textContent === told;
      problem.hidden = false;
      problem.textContent = message.text;
    }
    else if (message.kind === "inspected" && message.step === opened) {
      if (message.error && tab === "output") tab = "error";
      const text = JSON.stringify(message);
      if (text === drawn && !panel.hidden && panel.querySelector(".nbg-tabs")) return; // what a person has opened in it stays open
      if (panel.matches(":active")) askSoon(); // drawn anew between press and release, a button would lose its click
      else {
        drawn = text;
        inspect(message);
      }
    }
  };
  let told = ""; // what the deployment does
  const tell = text => {
    told = text;
    below.hidden = false;
    below.replaceChildren(element("p", { class: "nbg-hint", role: "status" }, text));
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
    const label = message.isHeld ? "Let the events that wait before it go on  p" : "Let events wait before it while the other steps go on  p";
    const hold = button(message.isHeld ? "Go on" : "Hold", label, () => stage.act("hold", message.step, !message.isHeld));
    fillPanel(panel, message, { tabs: TABS, chosen: tab, choose, close, acts: [hold] });
  };

  model.on("change:picture", draw);
  model.on("change:breakpoints", breakpoints);
  model.on("msg:custom", receive);
  const unfollow = followTheme(root);
  const unserve = servePages(model, root);
  const unshow = serveShown(model, root);
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
    unshow();
    stage.close();
    model.send({ kind: "left" });
  };
}

// How far a stream is: a bar where its length is known, and figures.
function progressView() {
  const bar = element("progress", { "aria-label": "Events of the stream that are done" });
  const words = element("span");
  const root = element("span", { class: "nbg-progress", hidden: true }, bar, words);
  const show = told => {
    root.hidden = !told;
    if (!told) return;
    bar.hidden = told.total === null;
    bar.max = told.total || 1;
    bar.value = told.done;
    words.textContent = `${told.done.toLocaleString("en")}${told.total === null ? "" : ` of ${told.total.toLocaleString("en")}`} events, ${told.rate.toLocaleString("en")}/s`;
  };
  return { root, show };
}

export default { render };
