// Cell: a text as a new cell of the notebook that a view stands in; JupyterLab and Notebook 7 let a view reach it.

/** @import { Model } from "./protocol.js" */

/** @param {Model} model */
export function reachable(model) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  return typeof notebook?.insertCell === "function" ? notebook : null;
}

/**
 * Put it in below the cell that `el` stands in; gives what was done, in words.
 * @param {Model} model
 * @param {HTMLElement} el
 * @param {string} text
 */
export async function putIntoCell(model, el, text) {
  const notebook = reachable(model);
  if (notebook) {
    notebook.insertCell(placeBelow(el, notebook), { cell_type: "code", source: text, metadata: { trusted: true } });
    return "The text stands in a new cell below this one.";
  }
  try {
    await navigator.clipboard.writeText(text);
    return "The text is copied; paste it into a new cell.";
  } catch {
    model.send({ kind: "edit", what: "cell" }); // the kernel can say it only in its answer to a cell
    return "The text stands in a new cell as soon as the next cell has run.";
  }
}

/**
 * A long notebook has only the cells in the page that are looked at; those know their number.
 * @param {HTMLElement} el
 * @param {{ cells: unknown[] }} notebook
 */
function placeBelow(el, notebook) {
  /** @type {HTMLElement | null} */
  const cell = el.closest(".jp-Cell");
  if (!cell) return notebook.cells.length;
  const cells = [...(cell.parentElement?.children ?? [])].filter(one => one.matches(".jp-Cell"));
  return Number(cell.dataset.windowedListIndex ?? cells.indexOf(cell)) + 1;
}
