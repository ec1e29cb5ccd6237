// Bar: the row of buttons over a picture: fit, zoom, turn, figures, search.
import { StepTable } from "./table.js";
import { element } from "./values.js";

/** @import { Model, Saved } from "./protocol.js" */
/** @import { Layer, Stage } from "./stage.js" */
/** @import { Properties } from "./values.js" */

/** @type {[key: string, does: string][]} */
export const PICTURE_KEYS = [
  ["arrows", "to the next step"],
  ["Enter", "open the step"],
  ["b", "breakpoint on and off"],
  ["e", "what went along its arrows"],
  ["f", "fold and open groups"],
  ["+ − 0", "closer, away, all of it"],
  ["Home, End", "first and last step"],
  ["/", "find a step"],
  ["m", "all the room for the panel"],
];

/**
 * A button; blocked ones (`aria-disabled`) do nothing. Its label has what is seen, for those who speak to their machine.
 * @param {string} text
 * @param {string} label
 * @param {(event: any) => unknown} onclick
 * @param {Properties} [properties]
 */
export function button(text, label, onclick, properties = {}) {
  const act = (/** @type {MouseEvent} */ event) => {
    if (one.getAttribute("aria-disabled") !== "true") onclick(event);
  };
  const words = text.replace(/[^\p{L}\p{N} ]/gu, "").trim();
  const named = words ? `${words}: ${label}` : label;
  const given = { type: "button", title: label, "aria-label": named, onclick: act, ...properties };
  const one = element("button", given, text);
  return one;
}

/**
 * A list to choose from, under its first word.
 * @param {string} label
 * @param {Properties} properties
 * @param {string[]} words
 * @param {(value: string) => void} done
 * @param {string} [title] what stands in it where nothing is chosen
 */
export function choice(label, properties, words, done, title) {
  const one = element("select", { "aria-label": label, title: label, ...properties });
  if (title) one.append(element("option", { value: "" }, title));
  one.append(...words.map(word => element("option", { value: word.toLowerCase() }, word)));
  one.addEventListener("change", () => {
    done(one.value);
    if (title) one.value = "";
  });
  return one;
}

/**
 * @param {Model} model
 * @param {Stage} stage
 * @param {HTMLElement} spoken
 * @param {...HTMLElement} more
 */
export function pictureBar(model, stage, spoken, ...more) {
  const turn = () => {
    model.set("direction", model.get("direction") === "LR" ? "TB" : "LR");
    model.save_changes();
  };
  const figures = { title: "Figures under the steps; latency: p50 / p95" };
  const layers = choice("Figures shown", figures, ["counts", "latency", "throughput", "none"], layer => {
    stage.layer = /** @type {Layer} */ (layer);
    stage.repaint();
  });
  const save = (/** @type {string} */ as) => model.send({ kind: "save", as });
  const saves = choice("Save the picture", {}, ["SVG", "PNG", "HTML", "DOT"], save, "save…");
  return element(
    "div",
    { class: "nbg-bar", role: "group", "aria-label": "Picture" },
    button("Fit", "Show the whole graph (0)", () => stage.camera.fit()),
    button("+", "Closer (+)", () => stage.camera.zoom(1.25)),
    button("−", "Further away (-)", () => stage.camera.zoom(0.8)),
    button("⇄", "Turn: left to right, or top to bottom", turn),
    layers,
    tableButton(stage),
    saves,
    ...more,
    searchField(stage, spoken),
  );
}

/**
 * The list of keys, which `?` opens and closes.
 * @param {HTMLElement} root
 * @param {[key: string, does: string][]} keys
 */
export function keyList(root, keys) {
  const pairs = keys.map(([key, does]) => element("div", {}, element("dt", {}, key), element("dd", {}, does)));
  const list = element("dl", { class: "nbg-keys", hidden: true, "aria-label": "Keys" }, ...pairs);
  const toggle = () => {
    list.hidden = !list.hidden;
    one.setAttribute("aria-expanded", String(!list.hidden));
  };
  const one = button("?", "List the keys", toggle, { "aria-expanded": "false" });
  root.addEventListener("keydown", event => {
    const isTyped = event.target instanceof Element && event.target.matches("input, textarea, select");
    if (event.key !== "?" || isTyped) return;
    event.preventDefault();
    toggle();
  });
  return { list, button: one };
}

/**
 * A line over a picture whose graph a later cell has defined anew: the text above it is not its own any more.
 * @param {Model} model
 */
export function replacedView(model) {
  const line = element("p", { class: "nbg-hint nbg-replaced", role: "status" });
  const look = () => {
    line.textContent = model.get("replaced");
    line.hidden = !line.textContent;
  };
  model.on("change:replaced", look);
  look();
  return line;
}

/** @param {Stage} stage */
function tableButton(stage) {
  const table = (stage.table = new StepTable(stage));
  const toggle = () => {
    const isOpen = Boolean(table.root.hidden);
    table.toggle(isOpen);
    one.setAttribute("aria-pressed", String(isOpen));
  };
  const one = button("Table", "Show the steps as a table", toggle, { "aria-pressed": "false" });
  return one;
}

/**
 * Draw every function, inner graph and router as one node, or open them; hidden where there are none.
 * @param {Model} model
 */
export function foldButton(model) {
  const fold = () => model.send({ kind: "fold", on: one.getAttribute("aria-pressed") !== "true" });
  const label = "Functions, inner graphs and routers as one node each (f: the chosen one's)";
  const one = button("Fold", label, fold, { "aria-pressed": "false" });
  const look = () => {
    one.hidden = !model.get("picture").folds;
    one.setAttribute("aria-pressed", String(model.get("picture").isFolded));
  };
  model.on("change:picture", look);
  look();
  return one;
}

/**
 * @param {Stage} stage
 * @param {HTMLElement} spoken
 */
function searchField(stage, spoken) {
  const search = element("input", { type: "search", placeholder: "find a step  /", "aria-label": "Find a step" });
  const find = () => {
    const text = search.value.trim().toLowerCase();
    let hits = 0;
    for (const step of stage.steps.values()) {
      const hit = text !== "" && step.name.toLowerCase().includes(text);
      step.group.classList.toggle("nbg-hit", hit);
      hits += Number(hit);
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
    const hit = [...stage.steps.values()].find(step => step.group.classList.contains("nbg-hit"));
    if (event.key === "Enter" && hit) stage.focus(hit.id);
  });
  stage.root.addEventListener("keydown", event => {
    if (event.key !== "/") return;
    event.preventDefault();
    event.stopPropagation();
    search.focus();
  });
  return search;
}

/**
 * Hand a file from the kernel to the person.
 * @param {Saved} file
 */
export function download({ name, type, data }) {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const link = element("a", { href: URL.createObjectURL(new Blob([bytes], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * A sentence that can't be missed, hidden as long as there is none.
 * @returns {HTMLElement & { say: (words: string) => void }}
 */
export function alertView() {
  const one = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
  const say = (/** @type {string} */ words) => {
    one.hidden = !words;
    one.textContent = words;
  };
  return Object.assign(one, { say });
}
