// Link: a view on the page and its kernel: what they tell each other, the keys, and the word when the kernel is gone.
import { followTheme } from "./theme.js";
import { element, servePages } from "./values.js";

/** @import { Model, Request } from "./protocol.js" */

const GONE = "The kernel of this view is gone: run its cell again.";

/**
 * The model with a `send` that never fails: from a kernel that was restarted nothing comes back, and the view says so.
 * @param {Model} model
 * @returns {Model & { lost: () => void }}
 */
export function linked(model) {
  const link = {
    get: model.get.bind(model),
    set: model.set.bind(model),
    save_changes: model.save_changes.bind(model),
    on: model.on.bind(model),
    off: model.off.bind(model),
    widget_manager: model.widget_manager,
    lost: () => {},
    /** @param {Request} message */
    send: message => {
      try {
        model.send(message);
      } catch {
        link.lost();
      }
    },
  };
  return link;
}

/**
 * Put a view on the page and join it with its model; gives what takes both apart again.
 * @param {Model & { lost: () => void }} model
 * @param {HTMLElement} el
 * @param {HTMLElement} root
 * @param {Record<string, (message: any) => void>} heard what it does when the model tells something
 */
export function join(model, el, root, heard) {
  const gone = element("p", { class: "nbg-problem nbg-bad nbg-lost", role: "alert", hidden: true }, GONE);
  /** @param {boolean} isGone */
  const mark = isGone => {
    gone.hidden = !isGone;
    root.classList.toggle("nbg-gone", isGone);
  };
  model.lost = () => mark(true);
  const events = Object.entries({ ...heard, comm_live_update: model.lost });
  for (const [event, act] of events) model.on(event, act);
  const ends = [followTheme(root), servePages(model, root), keepKeys(root)];
  root.prepend(gone);
  el.append(root);
  model.send({ kind: "opened" });
  return () => {
    for (const [event, act] of events) model.off(event, act);
    for (const end of ends) end();
    model.send({ kind: "left" });
  };
}

/**
 * Keys without Ctrl belong to the view that has the focus: JupyterLab would take them as its own, and looks at them
 * before any view does, as long as no attribute keeps it from that.
 * @param {HTMLElement} root
 */
function keepKeys(root) {
  /** @param {KeyboardEvent} event */
  const isOwn = event =>
    !(
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.key === "Escape" ||
      (event.shiftKey && event.key === "Enter")
    );
  /** @param {KeyboardEvent} event */
  const early = event => {
    if (event.composedPath().includes(root)) root.toggleAttribute("data-lm-suppress-shortcuts", isOwn(event));
  };
  /** @param {KeyboardEvent} event */
  const late = event => isOwn(event) && event.stopPropagation();
  addEventListener("keydown", early, true);
  root.addEventListener("keydown", late);
  return () => removeEventListener("keydown", early, true);
}
