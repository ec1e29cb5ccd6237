// Bar: the row of buttons over a picture: fit, zoom, turn, figures, search.
import { StepTable } from "./table.js";
import { element } from "./values.js";

export function button(text, label, onclick, properties = {}) {
  const act = event => event.currentTarget.getAttribute("aria-disabled") !== "true" && onclick(event);
  const words = text.replace(/[^\p{L}\p{N} ]/gu, "").trim(); // what is seen has to be said, for those who speak to their machine
  return element("button", { type: "button", title: label, "aria-label": words ? `${words}: ${label}` : label, onclick: act, ...properties }, text);
}

export function pictureBar(model, stage, spoken, ...more) {
  const turn = () => {
    model.set("direction", model.get("direction") === "LR" ? "TB" : "LR");
    model.save_changes();
  };
  const layers = element("select", { "aria-label": "Figures shown", title: "Figures under the steps; latency: p50 / p95", onchange: event => {
    stage.layer = event.target.value;
    stage.repaint();
  } }, ...["counts", "latency", "throughput", "none"].map(name => element("option", { value: name }, name)));
  const table = stage.table = new StepTable(stage);
  const asTable = button("Table", "Show the steps as a table", event => {
    const isOpen = table.root.hidden;
    table.toggle(isOpen);
    event.currentTarget.setAttribute("aria-pressed", String(isOpen));
  }, { "aria-pressed": "false" });
  const save = element("select", { "aria-label": "Save the picture", title: "Save the picture", onchange: event => {
    model.send({ kind: "save", as: event.target.value });
    event.target.value = "";
  } }, element("option", { value: "" }, "save…"), ...["svg", "png", "html", "dot"].map(name => element("option", { value: name }, name.toUpperCase())));
  return element("div", { class: "nbg-bar", role: "group", "aria-label": "Picture" },
    button("Fit", "Show the whole graph (0)", () => stage.camera.fit()), button("+", "Closer (+)", () => stage.camera.zoom(1.25)),
    button("−", "Further away (-)", () => stage.camera.zoom(0.8)), button("⇄", "Turn: left to right, or top to bottom", turn),
    layers, asTable, save, ...more, searchField(stage, spoken));
}

// Draw every function, inner graph and router as one node, or open them; hidden where there are none.
export function foldButton(model) {
  const one = button("Fold", "Functions, inner graphs and routers as one node each (f: the chosen one's)", () => {
    model.send({ kind: "fold", on: one.getAttribute("aria-pressed") !== "true" });
  }, { "aria-pressed": "false" });
  const look = () => {
    one.hidden = !model.get("picture").folds;
    one.setAttribute("aria-pressed", String(model.get("picture").isFolded));
  };
  model.on("change:picture", look);
  look();
  return one;
}

function searchField(stage, spoken) {
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
    const hit = event.key === "Enter" && [...stage.steps.values()].find(step => step.group.classList.contains("nbg-hit"));
    if (hit) stage.focus(hit.id);
  });
  stage.root.addEventListener("keydown", event => {
    if (event.key !== "/") return;
    event.preventDefault();
    event.stopPropagation();
    search.focus();
  });
  return search;
}

// Hand a file from the kernel to the person.
export function download({ name, type, data }) {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const link = element("a", { href: URL.createObjectURL(new Blob([bytes], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
