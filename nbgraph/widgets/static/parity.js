// What two lives of a graph answer to the same events, side by side.
import { join, linked } from "./link.js";
import { element, valueView } from "./values.js";

/** @import { Parity, Place } from "./protocol.js" */

/** @param {Place} place */
function render({ model, el }) {
  /** @type {Parity} */
  const { words, isEqual, table } = model.get("summary");
  const says = { class: `nbg-problem ${isEqual ? "nbg-good" : "nbg-bad"}`, role: "status" };
  const below = element("div", { class: "nbg-below" }, valueView(table));
  const root = element("div", { class: "nbg-root nbgraph nbg-parity" }, element("p", says, words), below);
  return join(linked(model), el, root, {});
}

export default { render };
