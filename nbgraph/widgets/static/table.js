// Table: the same steps as a table: equal in function to the picture, for those who read rather than look.
import { element } from "./values.js";

const HEAD = ["step", "kind", "state", "events", "failed", "p50, ms", "p95, ms", "events/s", "goes to", "note", "breakpoint"];

export class StepTable {
  constructor(stage) {
    this.stage = stage;
    this.body = element("tbody");
    this.root = element("div", { class: "nbg-scroll nbg-steps", hidden: true, role: "region", "aria-label": "Steps", tabindex: "0" },
      element("table", {}, element("thead", {}, element("tr", {}, ...HEAD.map(name => element("th", { scope: "col" }, name)))), this.body));
  }

  toggle(isOpen) {
    this.root.hidden = !isOpen;
    this.stage.root.hidden = isOpen;
    if (isOpen) this.draw();
    else this.stage.camera.fit();
  }

  // New rows; called when the picture is another one.
  draw() {
    if (this.root.hidden) return;
    this.rows = new Map();
    this.body.replaceChildren(...[...this.stage.steps.values()].map(step => this.row(step)));
    this.update([...this.stage.steps.keys()]);
  }

  row(step) {
    const open = element("button", { type: "button", onclick: () => this.stage.act("inspect", step.id) }, step.name);
    const goes = step.next.map(id => this.stage.steps.get(id)?.name).filter(Boolean).join(", ");
    const dot = element("input", { type: "checkbox", "aria-label": `Breakpoint on ${step.name}`, onchange: () => this.stage.toggle(step.id) });
    const cells = Array.from({ length: 6 }, () => element("td"));
    const note = element("td");
    this.rows.set(step.id, { cells, note, dot });
    return element("tr", {}, element("th", { scope: "row" }, open), element("td", {}, step.type), ...cells, element("td", {}, goes), note,
      element("td", {}, dot));
  }

  update(ids) {
    if (this.root.hidden || !this.rows) return;
    for (const id of ids) {
      const row = this.rows.get(id);
      const step = this.stage.steps.get(id);
      if (!row || !step) continue;
      const [state, count, errors, middle, slow, rate, note] = this.stage.known.steps[id] ?? ["idle", 0, 0, 0, 0, 0, "", 0];
      [state, count, errors, middle, slow, rate].forEach((value, index) => { row.cells[index].textContent = String(value); });
      row.cells[0].className = `nbg-is-${state}`;
      row.note.textContent = note;
      row.dot.checked = step.breaks;
    }
  }
}
