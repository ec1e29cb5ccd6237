// The builder: a palette, the picture, a sheet for the chosen step, the text beside it. The kernel makes every edit.
import { alertView, button, download, pictureBar } from "./bar.js";
import { putIntoCell, reachable } from "./cell.js";
import { join, linked } from "./link.js";
import { noneView } from "./panel.js";
import { sheetView } from "./sheet.js";
import { Stage, wishOf } from "./stage.js";
import { element } from "./values.js";

/** @import { Model, Offer, Place, Sheet, Message } from "./protocol.js" */
/** @import { DoEdit } from "./sheet.js" */
/** @import { Act } from "./stage.js" */

class BuilderView {
  /**
   * @param {Model} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.chosen = ""; // a step's id
    /** @type {Set<string> | null} */
    this.old = null; // names of the steps there were before one was added, which is to be chosen when it is drawn
    /** @type {DoEdit} */
    this.edit = (what, more = {}) => model.send({ kind: "edit", what, ...more });
    this.stage = new Stage((kind, id, on) => this.act(kind, id, on));
    this.stage.link = (source, target) =>
      this.edit("connect", { name: this.nameOf(source), target: this.nameOf(target) });
    this.spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
    this.undo = button("Undo", "Take the last edit back (Ctrl+Z)", () => this.edit("undo"));
    this.redo = button("Redo", "Make it again (Ctrl+Shift+Z)", () => this.edit("redo"));
    this.problem = alertView();
    this.problems = element("ul", { class: "nbg-faults", "aria-label": "Problems of the graph" });
    this.panel = element("section", { class: "nbg-panel", "aria-label": "Step" });
    const source = { class: "nbg-source", rows: "8", "aria-label": "The graph as text", spellcheck: "false" };
    this.text = element("textarea", source);
    this.done = element("span", { class: "nbg-hint", role: "status" });
    this.palette = paletteView(model, name => this.add(name));
    const bar = pictureBar(model, this.stage, this.spoken, this.undo, this.redo);
    const main = element("div", { class: "nbg-main" }, this.palette.root);
    main.append(this.stage.root, this.stage.table?.root ?? "", this.panel);
    const parts = [bar, this.problem, main, this.problems, this.textRow(), this.spoken];
    this.root = element("div", { class: "nbg-root nbgraph nbg-builder" }, ...parts);
    this.root.addEventListener("keydown", event => this.key(event));
  }

  textRow() {
    const { model, text } = this;
    const apply = () => this.edit("text", { text: text.value });
    text.addEventListener("keydown", event => {
      event.stopPropagation();
      if (event.key !== "Enter" || !(event.ctrlKey || event.shiftKey)) return;
      event.preventDefault();
      apply();
    });
    const toCell = reachable(model)
      ? "Put the text into a new cell below this one"
      : "Copy the text for a new cell: this front end lets no view make one";
    const acts = element(
      "p",
      { class: "nbg-acts" },
      button("Apply text", "Let the picture follow the text (Shift+Enter)", apply),
      button("Copy", "Copy the text, to paste it into a cell", () => this.copy()),
      button("To a new cell", toCell, () => this.toCell()),
      this.done,
    );
    return element("div", { class: "nbg-text-row" }, text, acts);
  }

  async copy() {
    this.text.select();
    await navigator.clipboard?.writeText(this.text.value).catch(() => document.execCommand("copy"));
    this.done.textContent = "The text is copied; paste it into a cell.";
  }

  async toCell() {
    this.done.textContent = await putIntoCell(this.model, this.el, this.text.value);
  }

  /** @returns {Sheet} */
  get sheet() {
    return this.model.get("sheet");
  }

  /** @param {string} id */
  nameOf(id) {
    return this.sheet.steps[id]?.name;
  }

  names() {
    return Object.values(this.sheet.steps).map(step => step.name);
  }

  /**
   * @param {Act} kind
   * @param {string} id
   * @param {boolean} on
   */
  act(kind, id, on) {
    if (kind === "inspect") this.choose(id);
    else if (kind === "break" || kind === "fold") this.model.send(wishOf(kind, id, on));
  }

  /** @param {string} name */
  add(name) {
    this.old = new Set(this.names());
    this.edit("add", { name, after: this.chosen ? this.nameOf(this.chosen) : null });
  }

  /** @param {string} id */
  choose(id) {
    this.chosen = id;
    for (const step of this.stage.steps.values()) step.group.classList.toggle("nbg-hit", step.id === id);
    const step = this.sheet.steps[id];
    const hint = "Choose a step in the picture, or put one in from the palette: it is added behind the chosen step.";
    this.panel.replaceChildren(step ? sheetView(step, this.names(), this.edit) : noneView(hint));
  }

  draw() {
    const name = this.stage.steps.get(this.chosen)?.name;
    this.stage.draw(this.model.get("picture"), this.model.get("direction"));
    this.chosen = [...this.stage.steps.values()].find(step => step.name === name)?.id ?? "";
    this.stage.setBreakpoints(this.model.get("breakpoints"));
    this.mark();
    this.show();
  }

  mark() {
    this.stage.setFaults(this.model.get("faults"));
  }

  // The sheet as the kernel has it. An edit that it refused has changed nothing: what was typed stays, to be mended.
  show() {
    const { sheet, stage } = this;
    this.undo.setAttribute("aria-disabled", String(!sheet.undo));
    this.redo.setAttribute("aria-disabled", String(!sheet.redo));
    this.problem.say(sheet.problem);
    this.problems.replaceChildren(...sheet.problems.map(words => element("li", { class: "nbg-bad" }, words)));
    if (sheet.problem && stage.steps.has(this.chosen)) return;
    if (!sheet.problem && this.text.value !== sheet.text) this.text.value = sheet.text;
    const fresh = [...stage.steps.values()].find(step => this.old && !this.old.has(step.name));
    if (fresh) {
      this.old = null;
      stage.focus(fresh.id);
      this.choose(fresh.id);
    } else this.choose(stage.steps.has(this.chosen) ? this.chosen : "");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!(event.target instanceof Element) || event.target.matches("input, textarea, select")) return;
    const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    const isDelete = event.key === "Delete" && this.chosen && this.stage.root.contains(event.target);
    if (isUndo) this.edit(event.shiftKey ? "redo" : "undo");
    else if (isDelete) this.edit("remove", { name: this.nameOf(this.chosen) });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Message} message */
  receive(message) {
    if (message.kind === "saved") download(message);
  }
}

/** @param {Place} place */
function render({ model, el }) {
  const link = linked(model);
  const view = new BuilderView(link, el);
  const unjoin = join(link, el, view.root, {
    "change:picture": () => view.draw(),
    "change:sheet": () => view.show(),
    "change:faults": () => view.mark(),
    "change:offered": () => view.palette.fill(),
    "msg:custom": message => view.receive(message),
  });
  view.draw();
  return () => {
    view.stage.close();
    unjoin();
  };
}

/**
 * The notebook's functions and the built-in steps, searched by name and by what they are about.
 * @param {Model} model
 * @param {(name: string) => void} add
 */
function paletteView(model, add) {
  const list = element("div", { class: "nbg-offers" });
  const search = element("input", { type: "search", placeholder: "search steps", "aria-label": "Search the palette" });
  const offerView = (/** @type {Offer} */ { name, signature, about }) => {
    const is = { class: "nbg-offer", "data-signature": signature };
    return button(name, `Add ${name}${signature}. ${about}`, () => add(name), is);
  };
  const fill = () => {
    const text = search.value.trim().toLowerCase();
    /** @type {Offer[]} */
    const offered = model.get("offered");
    const found = offered.filter(({ name, about }) => `${name} ${about}`.toLowerCase().includes(text));
    const groups = [...new Set(found.map(one => one.group))].map(group => {
      const offers = found.filter(one => one.group === group).map(offerView);
      return element("details", { open: true }, element("summary", {}, group), ...offers);
    });
    list.replaceChildren(...groups);
  };
  search.addEventListener("input", fill);
  search.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter") list.querySelector("button")?.click();
  });
  fill();
  return { root: element("section", { class: "nbg-palette", "aria-label": "Palette" }, search, list), fill };
}

export default { render };
