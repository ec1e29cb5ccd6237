// The view of a deployment: a row for each function with its figures and its scale, the picture grouped by function.
import { button } from "./bar.js";
import { showChild } from "./child.js";
import { around, shape } from "./shapes.js";
import { Stage } from "./stage.js";
import { followTheme } from "./theme.js";
import { element, servePages, valueView } from "./values.js";

const FIGURES = ["function", "state", "replicas", "events/s", "waiting", "in flight", "errors", "dead", "p95", ""];
const LOOKS = { running: "done", starting: "waiting", failing: "failed", stopped: "idle" };

function render({ model, el }) {
  const send = (kind, more = {}) => model.send({ kind, ...more });
  const about = model.get("about");
  const stage = new Stage(() => {}, { hasMarks: false });
  const frames = new Map(); // a function's name -> where its figures stand in the picture
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const problem = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
  const sheet = element("section", { class: "nbg-below", "aria-label": "More", hidden: true });
  const rows = new Map(about.functions.map(name => [name, functionRow(name, send)]));
  const state = element("span", { class: "nbg-hint" }, "…");
  const stop = button("Stop", "End the deployment; events in flight are finished", () => { sure.hidden = false; });
  const sure = element("span", { class: "nbg-sure", hidden: true, role: "group", "aria-label": "Really stop?" }, "Really?",
    button("Yes", "Stop it now", () => { sure.hidden = true; say("stopping…"); send("stop"); }),
    button("No", "Let it run", () => { sure.hidden = true; }));
  const say = words => {
    state.textContent = words;
    spoken.textContent = words;
  };
  const bar = element("div", { class: "nbg-bar", role: "group", "aria-label": "Deployment" }, element("strong", { title: `In a cell: Deployment.attach("${about.name}")` }, about.name),
    element("span", { class: "nbg-hint" }, about.url), state, button("Failures", "The events that failed last", () => send("failures")), stop, sure);
  const table = element("div", { class: "nbg-scroll nbg-functions", role: "region", tabindex: "0", "aria-label": "Functions" },
    element("table", {}, element("thead", {}, element("tr", {}, ...FIGURES.map(name => name ? element("th", { scope: "col" }, name) : element("td")))),
      element("tbody", {}, ...[...rows.values()].map(row => row.root))));
  const root = element("div", { class: "nbg-root nbgraph nbg-deployment" }, bar, problem, table, stage.root, sheet, spoken);

  const draw = () => {
    const picture = model.get("picture");
    stage.root.hidden = !picture.svg;
    if (!picture.svg) return;
    stage.draw(picture, model.get("direction"));
    frames.clear();
    for (const group of stage.svg.querySelectorAll("[data-function]")) {
      const name = picture.functions[group.dataset.function];
      const { x, y, width, height } = around([group.querySelector("path, polygon")]);
      const words = stage.overlay.appendChild(shape("text", { class: "nbg-count nbg-figures", x: x + width / 2, y: y + height + 14, "aria-hidden": "true" }));
      frames.set(name, words);
    }
  };
  const pulse = ({ functions, over }) => {
    for (const [name, found] of Object.entries(functions)) {
      rows.get(name)?.show(found);
      const words = frames.get(name);
      if (words) words.textContent = `${found.replicas}× · ${rateOf(found)}/s${found.backlog ? ` · ${found.backlog} wait` : ""}${found.errors ? ` · ${found.errors} failed` : ""}`;
    }
    const { of = {} } = model.get("picture");
    const steps = {};
    for (const [id, name] of Object.entries(of)) {
      const found = functions[name];
      if (over) steps[id] = ["idle", 0, 0, 0, 0, 0, "", 0];
      else if (found) steps[id] = [found.state === "running" && found.rate ? "running" : LOOKS[found.state], 0, 0, 0, 0, 0, "", 0];
    }
    stage.show({ steps, lines: {} });
    if (over) {
      say("stopped");
      for (const row of rows.values()) row.over();
      for (const words of frames.values()) words.textContent = "stopped";
      stop.setAttribute("aria-disabled", "true");
    } else if (state.textContent === "…") say("running");
  };
  let unchild = () => {};
  const open = (title, ...parts) => {
    unchild();
    unchild = () => {};
    sheet.hidden = false;
    sheet.setAttribute("aria-label", title);
    sheet.replaceChildren(element("header", {}, element("h3", {}, title), button("×", "Close", () => { sheet.hidden = true; })), ...parts);
  };
  const receive = message => {
    if (message.kind === "pulse") pulse(message);
    else if (message.kind === "did") {
      problem.hidden = !message.problem;
      problem.textContent = message.problem;
    } else if (message.kind === "logs") open(`Logs of ${message.function}`, element("pre", { tabindex: "0", role: "region", "aria-label": "Log lines" }, message.text || "nothing was logged"));
    else if (message.kind === "failures") open("Failures", failuresView(message, send));
    else if (message.kind === "child") {
      const place = element("div");
      open("Debugger", place);
      showChild(model, message.model, place).then(done => { unchild = done; }, error => { place.textContent = `This front end can't show it here: ${error.message}`; });
    }
  };
  model.on("change:picture", draw);
  model.on("msg:custom", receive);
  const unfollow = followTheme(root);
  const unserve = servePages(model, root);
  el.append(root);
  send("opened");
  draw();
  return () => {
    model.off("change:picture", draw);
    model.off("msg:custom", receive);
    unfollow();
    unserve();
    unchild();
    stage.close();
    send("left");
  };
}

function rateOf({ rate }) {
  return rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(3));
}

// A function's figures, with buttons for one replica more or less.
function functionRow(name, send) {
  let wanted = 0;
  const cells = Array.from({ length: 7 }, () => element("td"));
  const count = element("span", { class: "nbg-replicas" });
  const by = number => send("scale", { function: name, n: Math.max(0, wanted + number) });
  const less = button("−", `One replica of ${name} less`, () => by(-1));
  const more = button("+", `One replica of ${name} more`, () => by(1));
  const [state, ...rest] = cells;
  const root = element("tr", {}, element("th", { scope: "row" }, name), state, element("td", { class: "nbg-scale" }, less, count, more), ...rest,
    element("td", {}, button("Logs", `What ${name} logged last`, () => send("logs", { function: name }))));
  const show = found => {
    wanted = found.wanted;
    count.textContent = found.replicas === found.wanted ? String(found.replicas) : `${found.replicas} of ${found.wanted}`;
    const age = found.age ? `, oldest ${Math.round(found.age)} s` : "";
    const figures = [found.state, rateOf(found), `${found.backlog}${age}`, found.in_flight, found.errors, found.dead, found.p95 === null ? "" : `${Number((found.p95 * 1000).toPrecision(3))} ms`];
    figures.forEach((value, index) => { cells[index].textContent = String(value); });
    state.className = `nbg-is-${LOOKS[found.state]}`;
    less.setAttribute("aria-disabled", String(wanted <= 0));
  };
  const over = () => {
    state.textContent = "stopped";
    state.className = "";
    count.textContent = "0";
    for (const one of [less, more]) one.setAttribute("aria-disabled", "true");
  };
  return { root, show, over };
}

function failuresView({ rows, canDebug }, send) {
  if (!rows.length) return element("p", { class: "nbg-none" }, "no event failed");
  return element("div", {}, ...rows.map((row, index) => element("details", {}, element("summary", {}, `${row.step}  ${row.error}`),
    valueView(row.body, false), canDebug ? button("Debug", "Stand before the step that failed, in this notebook", () => send("debug", { index })) : null)));
}

export default { render };
