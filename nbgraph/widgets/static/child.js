// Child: a widget of the kernel's inside of a view, where the front end lets one view make another.
import { detailOf } from "./values.js";

/** @import { Model, Message } from "./protocol.js" */

/**
 * Values that the front end's own renderers show best: asked for by a click, put where it was; gives what ends that.
 * @param {Model} model
 * @param {HTMLElement} root
 */
export function serveShown(model, root) {
  /** @type {HTMLElement | null} */
  let asked = null;
  /** @param {Message} message */
  const answer = message => {
    const place = asked;
    if (message.kind !== "shown" || !place) return;
    showChild(model, message.model, place).catch(error => {
      place.textContent = `This front end can't show it here: ${error.message}`;
    });
  };
  root.addEventListener("nbg-show", event => {
    const { of, place } = detailOf(event);
    asked = place;
    model.send({ kind: "show", of });
  });
  model.on("msg:custom", answer);
  return () => model.off("msg:custom", answer);
}

/**
 * Gives what takes it away again.
 * @param {Model} model
 * @param {string} id
 * @param {HTMLElement} place
 * @returns {Promise<() => void>}
 */
export async function showChild(model, id, place) {
  const manager = model.widget_manager;
  const view = await manager.create_view(await manager.get_model(id));
  place.replaceChildren(view.el);
  // what is drawn on being shown waits for it
  for (const type of ["before-attach", "after-attach"]) view.luminoWidget?.processMessage({ type });
  view.trigger("displayed");
  return () => view.remove();
}
