// Sheet: name, answer, parameters and arrows of one step of a graph that is built.
import { button } from "./bar.js";
import { element } from "./values.js";

/** @import { Arrow, Edit, EditKind, SheetStep } from "./protocol.js" */
/** @import { Properties } from "./values.js" */
/** @typedef {(what: EditKind, more?: Omit<Edit, "what">) => void} DoEdit */

/**
 * @param {SheetStep} step
 * @param {string[]} others the names of all steps
 * @param {DoEdit} edit
 */
export function sheetView(step, others, edit) {
  const { name } = step;
  const rename = (/** @type {string} */ target) => edit("rename", { name, target });
  const respond = () => edit("respond", { name: answers.checked ? name : "" });
  /** @type {HTMLInputElement} */
  const answers = element("input", { type: "checkbox", checked: step.answers, onchange: respond });
  const remove = () => edit("remove", { name });
  const form = element("div", { class: "nbg-form" });
  form.append(
    element("label", {}, element("span", {}, "name"), field("Name of the step", name, rename)),
    element("label", {}, answers, "answers the caller"),
    ...parametersOf(step, edit),
    element("h3", {}, "Arrows"),
    ...step.arrows.map(arrow => arrowView(step, arrow, edit)),
    targetsOf(step, others, edit),
    element("p", { class: "nbg-acts" }, button("Delete step", "Take the step and its arrows out (Delete)", remove)),
  );
  return form;
}

/**
 * @param {string} label
 * @param {string} value
 * @param {(text: string) => void} done
 * @param {Properties} properties
 */
function field(label, value, done, properties = {}) {
  const input = element("input", { type: "text", "aria-label": label, ...properties });
  input.value = value;
  input.addEventListener("keydown", event => event.stopPropagation());
  input.addEventListener("change", () => done(input.value));
  return input;
}

/**
 * @param {SheetStep} step
 * @param {DoEdit} edit
 */
function parametersOf(step, edit) {
  return step.form.map(one => {
    const done = (/** @type {string} */ text) => edit("arguments", { name: step.name, texts: { [one.name]: text } });
    const named = element("span", {}, one.name, one.required ? " *" : "");
    return element("label", {}, named, field(one.name, one.text, done, { placeholder: one.default }));
  });
}

/**
 * The steps that no arrow leads to yet.
 * @param {SheetStep} step
 * @param {string[]} others
 * @param {DoEdit} edit
 */
function targetsOf(step, others, edit) {
  const free = others.filter(name => !step.arrows.some(arrow => arrow.target === name));
  const options = free.map(name => element("option", { value: name }, name));
  const none = element("option", { value: "" }, "connect to…");
  const target = element("select", { "aria-label": "Connect to" }, none, ...options);
  target.addEventListener("change", () => {
    if (target.value) edit("connect", { name: step.name, target: target.value });
  });
  return target;
}

/** @param {Arrow} arrow */
function kindOf(arrow) {
  return arrow.kind === "error" ? "error" : arrow.otherwise ? "else" : arrow.when ? "if" : "always";
}

/**
 * @param {SheetStep} step
 * @param {Arrow} arrow
 * @param {DoEdit} edit
 */
function arrowView(step, arrow, edit) {
  const ends = { name: step.name, target: arrow.target };
  const kind = kindOf(arrow);
  const words = { placeholder: 'event["p"] > 0.9' };
  const put = (/** @type {string} */ text) => edit("connect", { ...ends, when: text, otherwise: false, error: false });
  const when = field(`Condition of the arrow to ${arrow.target}`, arrow.when ?? "", put, words);
  when.hidden = kind !== "if";
  const options = ["always", "if", "else", "error"].map(name =>
    element("option", { value: name, selected: name === kind }, name === "error" ? "on error" : name),
  );
  const label = `When the arrow to ${arrow.target} is followed`;
  const follow = element("select", { "aria-label": label }, ...options);
  follow.addEventListener("change", () => {
    const { value } = follow;
    when.hidden = value !== "if";
    if (value === "if") when.focus();
    else edit("connect", { ...ends, when: "", otherwise: value === "else", error: value === "error" });
  });
  const away = () => edit("disconnect", ends);
  const end = button("×", `Take the arrow to ${arrow.target} away`, away);
  const named = element("span", {}, arrow.kind === "cycle" ? "↺ " : "→ ", arrow.target);
  return element("div", { class: "nbg-arrow" }, named, follow, when, end);
}
