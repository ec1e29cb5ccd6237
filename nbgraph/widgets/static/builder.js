// The builder: a palette, the picture, a sheet for the chosen step, the text beside it. The kernel makes every edit.
import { button, download, pictureBar } from "./bar.js";
import { putIntoCell, reachable } from "./cell.js";
import { Stage } from "./stage.js";
import { followTheme } from "./theme.js";
import { element } from "./values.js";

function render({ model, el }) {
  let chosen = null; // a step's id
  let wanted = null; // the name of a step that is to be chosen when it is drawn
  const edit = (what, more = {}) => model.send({ kind: "edit", what, ...more });
  const nameOf = id => model.get("sheet").steps?.[id]?.name;
  const stage = new Stage((kind, step, on) => {
    if (kind === "break") model.send({ kind, step, on });
    else if (kind === "fold") model.send({ kind, step, on });
    else if (kind === "inspect") choose(step);
  });
  stage.link = (source, target) => edit("connect", { name: nameOf(source), target: nameOf(target) });
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const undo = button("Undo", "Take the last edit back (Ctrl+Z)", () => edit("undo"));
  const redo = button("Redo", "Make it again (Ctrl+Shift+Z)", () => edit("redo"));
  const problem = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
  const problems = element("ul", { class: "nbg-faults", "aria-label": "Problems of the graph" });
  const panel = element("section", { class: "nbg-panel", "aria-label": "Step" });
  const text = element("textarea", { class: "nbg-source", rows: "8", "aria-label": "The graph as text", spellcheck: "false" });
  text.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.shiftKey)) {
      event.preventDefault();
      edit("text", { text: text.value });
    }
  });
  const done = element("span", { class: "nbg-hint", role: "status" });
  const copy = async () => {
    text.select();
    await navigator.clipboard?.writeText(text.value).catch(() => document.execCommand("copy"));
    done.textContent = "The text is copied; paste it into a cell.";
  };
  const toCell = async () => {
    done.textContent = await putIntoCell(model, el, text.value);
  };
  const where = reachable(model) ? "Put the text into a new cell below this one" : "Copy the text for a new cell: this front end lets no view make one";
  const palette = paletteView(model, name => {
    const before = new Set(Object.values(model.get("sheet").steps).map(step => step.name));
    wanted = steps => steps.find(step => !before.has(step.name));
    edit("add", { name, after: chosen ? nameOf(chosen) : null });
  });
  const bar = pictureBar(model, stage, spoken, undo, redo);
  const root = element("div", { class: "nbg-root nbgraph nbg-builder" }, bar, problem,
    element("div", { class: "nbg-main" }, palette.root, stage.root, stage.table.root, panel), problems,
    element("div", { class: "nbg-text-row" }, text, element("p", { class: "nbg-acts" },
      button("Apply text", "Let the picture follow the text (Shift+Enter)", () => edit("text", { text: text.value })),
      button("Copy", "Copy the text, to paste it into a cell", copy),
      button("To a new cell", where, toCell), done)), spoken);

  const choose = id => {
    chosen = id;
    for (const step of stage.steps.values()) step.group.classList.toggle("nbg-hit", step.id === id);
    const step = model.get("sheet").steps?.[id];
    const others = Object.values(model.get("sheet").steps ?? {}).map(other => other.name);
    panel.replaceChildren(...(step ? sheetView(step, others, edit) : [element("p", { class: "nbg-none" },
      "Choose a step in the picture, or put one in from the palette: it is added behind the chosen step.")]));
  };
  const sheet = () => {
    const now = model.get("sheet");
    undo.setAttribute("aria-disabled", String(!now.undo));
    redo.setAttribute("aria-disabled", String(!now.redo));
    problem.hidden = !now.problem;
    problem.textContent = now.problem ?? "";
    problems.replaceChildren(...(now.problems ?? []).map(words => element("li", { class: "nbg-bad" }, words)));
    if (!now.problem && document.activeElement !== text) text.value = now.text;
    if (!now.problem && text.value !== now.text) text.value = now.text;
    for (const step of stage.steps.values()) {
      const fault = (now.problems ?? []).find(words => words.includes(`"${step.name}"`));
      stage.show({ steps: { [step.id]: [fault ? "failed" : "idle", 0, 0, 0, 0, 0, (fault ?? "").replace(`Step "${step.name}": `, ""), 0] }, lines: {} });
    }
    const fresh = wanted?.([...stage.steps.values()]);
    if (fresh) {
      wanted = null;
      stage.focus(fresh.id);
    }
    choose(fresh ? fresh.id : stage.steps.has(chosen) ? chosen : null);
  };
  const draw = () => {
    const name = chosen && stage.steps.get(chosen)?.name;
    stage.draw(model.get("picture"), model.get("direction"));
    chosen = [...stage.steps.values()].find(step => step.name === name)?.id ?? null;
    stage.setBreakpoints(model.get("breakpoints"));
  };
  const receive = message => message.kind === "saved" && download(message);
  root.addEventListener("keydown", event => {
    if (event.target.matches("input, textarea, select")) return;
    const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (isUndo) edit(event.shiftKey ? "redo" : "undo");
    else if (event.key === "Delete" && chosen && stage.root.contains(event.target)) edit("remove", { name: nameOf(chosen) });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const redraw = () => {
    draw();
    sheet();
  };
  model.on("change:picture", redraw);
  model.on("change:sheet", sheet);
  model.on("change:offered", palette.fill);
  model.on("msg:custom", receive);
  const unfollow = followTheme(root);
  el.append(root);
  model.send({ kind: "opened" });
  redraw();
  return () => {
    model.off("change:picture", redraw);
    model.off("change:sheet", sheet);
    model.off("change:offered", palette.fill);
    model.off("msg:custom", receive);
    unfollow();
    stage.close();
    model.send({ kind: "left" });
  };
}

// The notebook's functions and the built-in steps, searched by name and by what they are about.
function paletteView(model, add) {
  const list = element("div", { class: "nbg-offers" });
  const search = element("input", { type: "search", placeholder: "search steps", "aria-label": "Search the palette" });
  const offerView = one => button(one.name, `Add ${one.name}${one.signature}. ${one.about}`, () => add(one.name),
    { class: "nbg-offer", "data-signature": one.signature });
  const fill = () => {
    const text = search.value.trim().toLowerCase();
    const found = model.get("offered").filter(({ name, about }) => `${name} ${about}`.toLowerCase().includes(text));
    const groups = [...new Set(found.map(one => one.group))];
    list.replaceChildren(...groups.map(group => element("details", { open: true }, element("summary", {}, group),
      ...found.filter(one => one.group === group).map(offerView))));
  };
  search.addEventListener("input", fill);
  search.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter") list.querySelector("button")?.click();
  });
  fill();
  return { root: element("section", { class: "nbg-palette", "aria-label": "Palette" }, search, list), fill };
}

// Name, answer, parameters and arrows of one step.
function sheetView(step, others, edit) {
  const field = (label, value, done, properties = {}) => {
    const input = element("input", { type: "text", "aria-label": label, ...properties });
    input.value = value;
    input.addEventListener("keydown", event => event.stopPropagation());
    input.addEventListener("change", () => done(input.value));
    return input;
  };
  const answers = element("input", { type: "checkbox", checked: step.answers, onchange: event =>
    edit("respond", { name: event.target.checked ? step.name : "" }) });
  const parameters = step.form.map(one => element("label", {}, element("span", {}, one.name, one.required ? " *" : ""),
    field(one.name, one.text, text => edit("arguments", { name: step.name, texts: { [one.name]: text } }), { placeholder: one.default })));
  const arrows = step.arrows.map(arrow => arrowView(step, arrow, field, edit));
  const target = element("select", { "aria-label": "Connect to" }, element("option", { value: "" }, "connect to…"),
    ...others.filter(name => !step.arrows.some(arrow => arrow.target === name)).map(name => element("option", { value: name }, name)));
  target.addEventListener("change", () => target.value && edit("connect", { name: step.name, target: target.value }));
  return [
    element("div", { class: "nbg-form" },
      element("label", {}, element("span", {}, "name"), field("Name of the step", step.name, target => edit("rename", { name: step.name, target }))),
      element("label", {}, answers, "answers the caller"), ...parameters,
      element("h3", {}, "Arrows"), ...arrows, target,
      element("p", { class: "nbg-acts" }, button("Delete step", "Take the step and its arrows out (Delete)", () => edit("remove", { name: step.name })))),
  ];
}

function arrowView(step, arrow, field, edit) {
  const to = more => edit("connect", { name: step.name, target: arrow.target, when: arrow.when, otherwise: arrow.otherwise, error: arrow.kind === "error", ...more });
  const kinds = { always: {}, if: {}, else: {}, error: {} };
  const kind = arrow.kind === "error" ? "error" : arrow.otherwise ? "else" : arrow.when ? "if" : "always";
  const when = field(`Condition of the arrow to ${arrow.target}`, arrow.when, text => to({ when: text, otherwise: false, error: false }), { placeholder: 'event["p"] > 0.9' });
  when.hidden = kind !== "if";
  const choice = element("select", { "aria-label": `When the arrow to ${arrow.target} is followed` },
    ...Object.keys(kinds).map(name => element("option", { value: name, selected: name === kind }, name === "error" ? "on error" : name)));
  choice.addEventListener("change", () => {
    when.hidden = choice.value !== "if";
    if (choice.value === "if") when.focus();
    else to({ when: "", otherwise: choice.value === "else", error: choice.value === "error" });
  });
  return element("div", { class: "nbg-arrow" }, element("span", {}, arrow.kind === "cycle" ? "↺ " : "→ ", arrow.target), choice, when,
    button("×", `Take the arrow to ${arrow.target} away`, () => edit("disconnect", { name: step.name, target: arrow.target })));
}

export default { render };
