// What two lives of a graph answer to the same events, side by side.
import { followTheme } from "./theme.js";
import { element, servePages, valueView } from "./values.js";

function render({ model, el }) {
  const { words, isEqual, table } = model.get("told");
  const root = element("div", { class: "nbg-root nbgraph nbg-parity" },
    element("p", { class: `nbg-problem ${isEqual ? "nbg-good" : "nbg-bad"}`, role: "status" }, words),
    element("div", { class: "nbg-below" }, valueView(table)));
  const unfollow = followTheme(root);
  const unserve = servePages(model, root);
  el.append(root);
  return () => {
    unfollow();
    unserve();
  };
}

export default { render };
