// The live view of a graph: toolbar, picture, and a panel with what a step last saw. State is the kernel's; this draws.
import { element, valueView } from "./values.js";
import { Stage } from "./stage.js";

const TABS = ["input", "output", "error", "code", "timing"];

function render({ model, el }) {
  const stage = new Stage((kind, step, on) => {
    if (kind === "inspect") opened = step;
    model.send(kind === "break" ? { kind, step, on } : { kind, step });
  });
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const panel = element("aside", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
  const root = element("div", { class: "nbg-root nbgraph" }, toolbar(model, stage, spoken),
    element("div", { class: "nbg-main" }, stage.root, panel), spoken);
  let opened = null;
  let tab = "output";
  let asked = 0;

  const draw = () => {
    stage.draw(model.get("picture"), model.get("direction"));
    stage.setBreakpoints(model.get("breakpoints"));
    model.send({ kind: "hello" });
  };
  const breakpoints = () => stage.setBreakpoints(model.get("breakpoints"));
  const receive = message => {
    if (message.kind === "status") {
      stage.show(message);
      speak(message);
      if (opened && message.steps[opened]) askSoon();
    } else if (message.kind === "inspected" && message.step === opened) {
      if (!message.output && message.error && tab === "output") tab = "error";
      inspect(message);
    }
  };
  // An open panel follows the run, a few times a second.
  const askSoon = () => {
    if (asked) return;
    asked = setTimeout(() => {
      asked = 0;
      if (opened) model.send({ kind: "inspect", step: opened });
    }, 300);
  };
  let wasRunning = false;
  const speak = message => {
    const failed = Object.entries(message.steps).find(([, line]) => line[0] === "failed");
    if (wasRunning && !message.running) spoken.textContent = "Run finished.";
    if (failed) spoken.textContent = `${stage.steps.get(failed[0])?.name} failed: ${failed[1][5]}`;
    wasRunning = message.running;
    root.classList.toggle("nbg-busy", message.running);
  };
  const inspect = message => {
    const close = () => {
      panel.hidden = true;
      opened = null;
      stage.focus(stage.current);
    };
    panel.hidden = false;
    panel.replaceChildren(...panelView(message, tab, name => { tab = name; inspect(message); }, close));
    panel.onkeydown = event => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    };
  };

  model.on("change:picture", draw);
  model.on("change:breakpoints", breakpoints);
  model.on("msg:custom", receive);
  const unwatch = followTheme(root);
  el.append(root);
  draw();
  return () => {
    model.off("change:picture", draw);
    model.off("change:breakpoints", breakpoints);
    model.off("msg:custom", receive);
    clearTimeout(asked);
    unwatch();
    stage.close();
  };
}

function toolbar(model, stage, spoken) {
  const button = (text, label, onclick) => element("button", { type: "button", title: label, "aria-label": label, onclick }, text);
  const turn = () => {
    model.set("direction", model.get("direction") === "LR" ? "TB" : "LR");
    model.save_changes();
  };
  const layers = element("select", { "aria-label": "Figures shown", onchange: event => {
    stage.layer = event.target.value;
    stage.repaint();
  } }, ...["counts", "latency", "none"].map(name => element("option", { value: name }, name)));
  const search = element("input", { type: "search", placeholder: "find a step  /", "aria-label": "Find a step" });
  const find = () => {
    const text = search.value.trim().toLowerCase();
    let hits = 0;
    for (const step of stage.steps.values()) {
      const hit = text !== "" && step.name.toLowerCase().includes(text);
      step.group.classList.toggle("nbg-hit", hit);
      hits += hit;
    }
    stage.root.classList.toggle("nbg-searching", text !== "");
    spoken.textContent = text ? `${hits} step${hits === 1 ? "" : "s"} found` : "";
  };
  search.addEventListener("input", find);
  search.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Escape") {
      search.value = "";
      find();
      stage.focus(stage.current);
    }
    if (event.key === "Enter") {
      const hit = [...stage.steps.values()].find(step => step.group.classList.contains("nbg-hit"));
      if (hit) stage.focus(hit.id);
    }
  });
  stage.root.addEventListener("keydown", event => {
    if (event.key !== "/") return;
    event.preventDefault();
    event.stopPropagation();
    search.focus();
  });
  return element("div", { class: "nbg-bar", role: "toolbar", "aria-label": "Picture" },
    button("Fit", "Show the whole graph (0)", () => stage.fit()), button("+", "Closer (+)", () => stage.zoom(1.25)),
    button("−", "Further away (-)", () => stage.zoom(0.8)), button("⇄", "Turn: left to right, or top to bottom", turn),
    layers, search);
}

function panelView(message, tab, choose, close) {
  const names = TABS.filter(name => name !== "error" || message.error);
  const chosen = names.includes(tab) ? tab : "output";
  const tabs = element("div", { class: "nbg-tabs", role: "tablist" }, ...names.map(name => element("button", {
    type: "button", role: "tab", "aria-selected": String(name === chosen), tabindex: name === chosen ? "0" : "-1",
    onclick: () => choose(name),
  }, name)));
  tabs.addEventListener("keydown", event => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.stopPropagation();
    choose(names[(names.indexOf(chosen) + by + names.length) % names.length]);
    requestAnimationFrame(() => document.activeElement?.closest?.(".nbg-panel") ?? null);
  });
  return [
    element("header", {}, element("h3", {}, message.name),
      element("button", { type: "button", class: "nbg-close", "aria-label": "Close", onclick: close }, "×")),
    message.note ? element("p", { class: "nbg-bad" }, message.note) : null,
    tabs,
    element("div", { class: "nbg-page-of", role: "tabpanel", tabindex: "0", "aria-label": chosen }, tabView(message, chosen)),
  ].filter(Boolean);
}

function tabView(message, tab) {
  if (tab === "error" || tab === "code") return element("pre", {}, message[tab] || "no source to be had");
  if (tab !== "timing") return message[tab] || message.event === "" ? valueView(message[tab]) : element("p", { class: "nbg-none" }, "none: the step failed");
  const facts = { ...message.facts, "last, ms": Math.round(message.seconds * 1e6) / 1e3, event: message.event, visit: message.visit,
    "goes on to": (message.goes || []).join(", ") || (message.dropped ? "nowhere: dropped" : "nowhere"), because: message.reason };
  return element("dl", {}, ...Object.entries(facts).filter(([, value]) => value !== "" && value !== undefined)
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
}

// Dark where the front end is dark: its colours are asked, since every front end names its themes otherwise.
function followTheme(root) {
  const look = () => {
    const style = getComputedStyle(root);
    const named = ["--jp-layout-color1", "--vscode-editor-background"].map(name => style.getPropertyValue(name).trim()).find(Boolean);
    const light = named ? luminance(named, root) > 0.5 : !matchMedia("(prefers-color-scheme: dark)").matches;
    root.classList.toggle("nbg-dark", !light);
    root.classList.toggle("nbg-light", light);
  };
  const observer = new MutationObserver(() => requestAnimationFrame(look));
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme"] });
  }
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", look);
  requestAnimationFrame(look);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", look);
  };
}

function luminance(colour, root) {
  const probe = root.appendChild(element("span", { style: `color:${colour};display:none` }));
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

export default { render };
