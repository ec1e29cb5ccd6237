// Forms: what a person changes in a debugged run: values, breakpoints, watched expressions.
import { button } from "./bar.js";
import { element, valueView } from "./values.js";

/** @import { Breakpoint, Shown } from "./protocol.js" */
/** @typedef {{ on: boolean, when?: string, hits?: string, at?: string }} BreakpointForm */

/**
 * A text field with a button that hands the text on.
 * @param {string} label
 * @param {string} text
 * @param {string} hint
 * @param {(text: string) => void} done
 */
export function editor(label, text, hint, done) {
  const area = element("textarea", { rows: "3", "aria-label": label, spellcheck: "false", placeholder: hint });
  area.value = text;
  area.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      done(area.value);
    }
  });
  const apply = button("Apply", `${label} (Shift+Enter)`, () => done(area.value));
  const acts = element("p", { class: "nbg-acts" }, apply);
  return element("details", { class: "nbg-editor" }, element("summary", {}, label), area, acts);
}

/**
 * @param {Breakpoint | undefined} found
 * @param {string} typed a condition that was begun, or refused
 * @param {(text: string) => void} keep
 * @param {(form: BreakpointForm) => void} set
 */
export function breakpointForm(found, typed, keep, set) {
  const is = { value: found?.when ?? typed, placeholder: 'event["p"] > 0.9', "aria-label": "Condition" };
  const hits = { value: String(found?.hits ?? 1), "aria-label": "Stop at every n-th time" };
  const when = element("input", { type: "text", ...is });
  const nth = element("input", { type: "number", min: "1", ...hits });
  const options = ["before", "after", "error"].map(name => {
    const words = name === "error" ? "on its error" : `${name} it runs`;
    return element("option", { value: name, selected: name === found?.on }, words);
  });
  const at = element("select", { "aria-label": "When to look" }, ...options);
  for (const field of [when, nth]) field.addEventListener("keydown", event => event.stopPropagation());
  when.addEventListener("input", () => keep(when.value)); // what the kernel refuses is there to be mended
  const apply = () => set({ on: true, when: when.value, hits: nth.value, at: at.value });
  const clear = button("Clear", "Clear the breakpoint", () => set({ on: false }));
  const acts = element("p", { class: "nbg-acts" }, button(found ? "Change" : "Set", "Set the breakpoint", apply));
  const form = element("div", { class: "nbg-form" });
  form.append(element("label", {}, "Stop ", at), element("label", {}, "where ", when));
  form.append(element("label", {}, "every n-th time: ", nth), acts);
  if (found) {
    acts.append(clear);
    form.append(element("p", { class: "nbg-hint" }, `The condition held ${found.seen} times so far.`));
  }
  return form;
}

/**
 * Expressions that are worked out anew wherever the run stands.
 * @param {[text: string, value: Shown][]} watches
 * @param {(texts: string[]) => void} send
 */
export function watchView(watches, send) {
  const texts = watches.map(([text]) => text);
  const hint = 'watch an expression, such as event["p"]';
  const field = element("input", { type: "text", placeholder: hint, "aria-label": "Watch an expression" });
  field.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter" && field.value.trim()) send([...texts, field.value.trim()]);
  });
  const rows = watches.map(([text, value], index) => {
    const drop = () => send(texts.filter((_, other) => other !== index));
    const end = button("×", `Stop watching ${text}`, drop);
    return element("div", { class: "nbg-watch" }, element("code", {}, text), valueView(value, false), end);
  });
  return [...rows, field];
}
