// Table: the same steps as a table: equal in function to the picture, for those who read rather than look.
import { IDLE } from "./stage.js";
import { element } from "./values.js";

/** @import { Drawn, Stage } from "./stage.js" */
/** @typedef {{ cells: HTMLElement[], note: HTMLElement, dot: HTMLInputElement }} TableRow */

const HEAD = [
  "step",
  "kind",
  "state",
  "events",
  "failed",
  "p50, ms",
  "p95, ms",
  "events/s",
  "goes to",
  "note",
  "breakpoint",
];

export class StepTable {
  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.body = element("tbody");
    /** @type {Map<string, TableRow>} */
    this.rows = new Map();
    const head = element("tr", {}, ...HEAD.map(name => element("th", { scope: "col" }, name)));
    const is = { class: "nbg-scroll nbg-steps", hidden: true, role: "region", "aria-label": "Steps", tabindex: "0" };
    this.root = element("div", is, element("table", {}, element("thead", {}, head), this.body));
  }

  /** @param {boolean} isOpen */
  toggle(isOpen) {
    this.root.hidden = !isOpen;
    this.stage.root.hidden = isOpen;
    if (isOpen) this.draw();
    else this.stage.camera.fit();
  }

  // New rows; called when the picture is another one.
  draw() {
    if (this.root.hidden) return;
    this.rows.clear();
    this.body.replaceChildren(...[...this.stage.steps.values()].map(step => this.row(step)));
    this.update([...this.stage.steps.keys()]);
  }

  /** @param {Drawn} step */
  row(step) {
    const inspect = () => this.stage.act("inspect", step.id, true);
    const open = element("button", { type: "button", onclick: inspect }, step.name);
    const goes = step.next
      .map(id => this.stage.steps.get(id)?.name)
      .filter(Boolean)
      .join(", ");
    const toggle = () => this.stage.toggle(step.id);
    const dot = element("input", { type: "checkbox", "aria-label": `Breakpoint on ${step.name}`, onchange: toggle });
    const cells = Array.from({ length: 6 }, () => element("td"));
    const note = element("td");
    this.rows.set(step.id, { cells, note, dot });
    const name = element("th", { scope: "row" }, open);
    const goesTo = element("td", {}, goes);
    return element("tr", {}, name, element("td", {}, step.type), ...cells, goesTo, note, element("td", {}, dot));
  }

  /** @param {string[]} ids */
  update(ids) {
    if (this.root.hidden) return;
    for (const id of ids) {
      const row = this.rows.get(id);
      const step = this.stage.steps.get(id);
      if (!row || !step) continue;
      const [state, count, errors, middle, slow, rate, note] = this.stage.known.steps[id] ?? IDLE;
      const figures = [state, count, errors, middle, slow, rate];
      for (const [index, value] of figures.entries()) row.cells[index].textContent = String(value);
      row.cells[0].className = `nbg-is-${state}`;
      row.note.textContent = note || step.fault;
      row.dot.checked = step.breaks;
    }
  }
}
