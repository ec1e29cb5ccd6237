// Values: a preview tree from the kernel as elements. All text is set as text, never as markup.

/** @import { Model, Of, Part, Rows, RowsRequest, Shown } from "./protocol.js" */
/** @typedef {{ [name: string]: string | number | boolean | null | undefined | ((event: any) => unknown) }} Properties */
/** @typedef {{ of: Of, path: number[] }} At */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties] attributes, and what is to be done on events ("onclick")
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = String(value);
    else if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

/**
 * A value: a leaf is a line, a container can be opened, a table scrolls.
 * @param {Shown | null | undefined} shown
 * @param {At | null} at where the kernel finds the whole of it, so that what was left out can be had
 * @returns {HTMLElement}
 */
export function valueView(shown, open = true, at = null) {
  if (!shown) return element("p", { class: "nbg-none" }, "nothing yet");
  if (shown.late) {
    const hint = "As it is now: events came so fast that not every value was copied when it passed.";
    const rest = valueView({ ...shown, late: false }, open, at);
    return element("div", {}, element("p", { class: "nbg-hint" }, hint), rest);
  }
  if (shown.kind === "table") return tableView(shown);
  if (shown.kind === "image") return imageView(shown, at);
  if (shown.kind === "array") return arrayView(shown, at);
  if (shown.kind === "page") return pageFrame(shown);
  return shown.items ? branchView(shown, open, at) : leafView(shown, at);
}

/**
 * A picture, small at first; a click gets it in full size.
 * @param {Shown} shown
 * @param {At | null} at
 * @returns {HTMLElement}
 */
function imageView(shown, at) {
  const src = `data:${shown.type};base64,${shown.data}`;
  const image = shown.data ? element("img", { class: "nbg-image", alt: shown.text, src }) : null;
  const words = element("p", { class: "nbg-hint" }, shown.text);
  if (!shown.more || !at) return element("div", {}, words, image);
  const box = element("div", {}, words);
  const done = (/** @type {Shown} */ found) => {
    const whole = found.picture ?? found;
    box.replaceWith(imageView(whole.data ? whole : { ...whole, text: `${whole.text}: too large to show` }, null));
  };
  const ask = () => {
    box.dispatchEvent(new CustomEvent("nbg-part", { bubbles: true, detail: { ...at, from: 0, done } }));
  };
  const label = `Show it in full size: ${shown.text}`;
  const open = element("button", {
    type: "button",
    class: "nbg-more",
    title: label,
    "aria-label": label,
    onclick: ask,
  });
  open.append(image ?? "Show the picture");
  box.append(open);
  return box;
}

/**
 * An array: shape and figures, the values, and the picture that it may be.
 * @param {Shown} shown
 * @param {At | null} at
 */
function arrayView(shown, at) {
  const words = element("p", { class: "nbg-hint" }, shown.text);
  return element("div", {}, words, shown.picture && imageView(shown.picture, at), element("pre", {}, shown.values));
}

/**
 * @param {Shown} shown
 * @param {At | null} at
 */
function leafView(shown, at) {
  const leaf = element("span", { class: `nbg-value nbg-${shown.kind}` }, leafText(shown));
  const add = (/** @type {Shown} */ found) => {
    shown.text += found.text;
    leaf.textContent = leafText(shown);
    return found.more;
  };
  if (shown.more) leaf.append(moreView(shown.more, "characters", at, shown.text.length, add));
  const open = (/** @type {Shown} */ found) => leaf.replaceWith(valueView(found, true, at));
  if (shown.deep && at) leaf.append(moreView(1, "level", at, 0, open));
  return leaf;
}

/** @param {Shown} shown */
function leafText(shown) {
  return shown.kind === "text" ? JSON.stringify(shown.text) : shown.text;
}

/**
 * What was left out: how much, and where the kernel has the whole, a button that gets the next of it.
 * @param {number} left
 * @param {string} what
 * @param {At | null} at
 * @param {number} from
 * @param {(found: Shown) => number | undefined | void} add puts it in; gives how much is left then
 * @returns {HTMLElement}
 */
function moreView(left, what, at, from, add) {
  const words = ` … ${left} more ${what}`;
  if (!at) return element("span", { class: "nbg-more" }, words);
  const done = (/** @type {Shown} */ found) => {
    const parent = one.parentElement;
    if (!one.isConnected || !parent) return; // asked for twice, or the panel shows something else by now
    one.remove();
    const rest = add(found);
    const count = found.items?.length ?? found.text.length;
    if (rest) parent.append(moreView(rest, what, at, from + count, add));
  };
  const ask = () => {
    one.dispatchEvent(new CustomEvent("nbg-part", { bubbles: true, detail: { ...at, from, done } }));
  };
  const one = element("button", { type: "button", class: "nbg-more", onclick: ask }, words);
  return one;
}

/**
 * A page that a value makes of itself: nothing in it runs, nothing is loaded.
 * @param {Shown} shown
 */
function pageFrame(shown) {
  const rules = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
  const policy = `<meta http-equiv="Content-Security-Policy" content="${rules}">`;
  const title = "The value as a page";
  const frame = element("iframe", { class: "nbg-page-frame", sandbox: "", title, srcdoc: policy + shown.html });
  return element("div", {}, element("p", { class: "nbg-hint" }, shown.text), frame);
}

/**
 * @param {Shown} shown
 * @param {boolean} open
 * @param {At | null} at
 */
function branchView(shown, open, at) {
  const { items = [], more } = shown;
  if (!items.length && !more) return element("span", { class: "nbg-value" }, shown.text);
  const list = element("ul", { class: "nbg-tree" });
  /** @type {(items: [string, Shown][], from: number) => void} */
  const add = (found, from) => {
    const end = list.lastElementChild; // the line that says how many more
    const last = end?.querySelector(":scope > .nbg-key") ? null : end;
    for (const [index, [key, item]] of found.entries()) {
      const where = at && { ...at, path: [...at.path, from + index] };
      const name = element("span", { class: "nbg-key" }, `${key}: `);
      list.insertBefore(element("li", {}, name, valueView(item, false, where)), last);
    }
  };
  const addMore = (/** @type {Shown} */ found) => {
    add(found.items ?? [["", found]], list.childElementCount - 1);
    return found.more;
  };
  const fill = () => {
    if (list.childElementCount) return;
    add(items, 0);
    if (more) list.append(element("li", {}, moreView(more, "items", at, items.length, addMore)));
  };
  if (open) fill();
  const details = element("details", { open }, element("summary", {}, shown.text), list);
  details.addEventListener("toggle", fill); // a deep tree is made as far as it is looked at
  return details;
}

/**
 * A table with a header that sorts. Where there are more rows than came along, the kernel sorts, filters and turns pages.
 * @param {Shown} shown
 */
function tableView(shown) {
  const { columns = [], rows = [], ref } = shown;
  const body = element("tbody");
  /** @param {string[][]} found */
  const fill = found => body.replaceChildren(...found.map(rowView));
  /** @type {RowsRequest} */
  const asked = { ref: ref ?? "", page: 0, sort: -1, descending: false, text: "" };
  const ask = (/** @type {Partial<RowsRequest>} */ more) => {
    const detail = Object.assign(asked, { page: 0 }, more);
    box.dispatchEvent(new CustomEvent("nbg-rows", { bubbles: true, detail }));
  };
  const sort = (/** @type {number} */ index) => {
    asked.descending = asked.sort === index && !asked.descending;
    asked.sort = index;
    if (ref) return ask({});
    const sign = asked.descending ? -1 : 1;
    fill([...rows].sort((a, b) => sign * a[index + 1].localeCompare(b[index + 1], undefined, { numeric: true })));
  };
  fill(rows);
  const head = element("thead", {}, headView(columns, sort, asked));
  const scroll = { class: "nbg-scroll", tabindex: "0", role: "region", "aria-label": shown.text };
  const box = element("div", { class: "nbg-table" }, element("p", { class: "nbg-hint" }, shown.text));
  if (ref) box.append(pagesView(shown, asked, ask, fill));
  box.append(element("div", scroll, element("table", {}, head, body)));
  return box;
}

/** @param {string[]} row */
function rowView(row) {
  const cells = row.map((cell, index) => element(index ? "td" : "th", index ? {} : { scope: "row" }, cell));
  return element("tr", {}, ...cells);
}

/**
 * The names of columns, as buttons that sort.
 * @param {string[]} columns
 * @param {(index: number) => void} sort
 * @param {RowsRequest} asked
 */
function headView(columns, sort, asked) {
  const cells = columns.map((name, index) => {
    const act = () => {
      sort(index);
      for (const other of cells) other.removeAttribute("aria-sort");
      cells[index].setAttribute("aria-sort", asked.descending ? "descending" : "ascending");
    };
    return element("th", { scope: "col" }, element("button", { type: "button", onclick: act }, name));
  });
  return element("tr", {}, element("td", {}), ...cells);
}

/**
 * The bar over a table that is longer than what came along.
 * @param {Shown} shown
 * @param {RowsRequest} asked
 * @param {(more: Partial<RowsRequest>) => void} ask
 * @param {(rows: string[][]) => void} fill
 */
function pagesView(shown, asked, ask, fill) {
  const where = element("span", { role: "status" });
  const text = element("input", { type: "search", placeholder: "filter rows", "aria-label": "Filter the rows" });
  let waiting = 0;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask({ text: text.value }), 250);
  });
  text.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
  const turn = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {number} */ by) => {
    const act = () => {
      if (one.getAttribute("aria-disabled") !== "true") ask({ page: asked.page + by });
    };
    const one = element("button", { type: "button", "aria-label": label, onclick: act }, sign);
    return one;
  };
  const before = turn("‹", "Page before", -1);
  const after = turn("›", "Next page", 1);
  const place = (page = 0, pages = 1, total = 0, note = "") => {
    asked.page = page;
    where.textContent = `page ${page + 1} of ${pages}, ${total} row${total === 1 ? "" : "s"}${note ? `, ${note}` : ""}`;
    before.setAttribute("aria-disabled", String(page === 0));
    after.setAttribute("aria-disabled", String(page >= pages - 1));
  };
  place(0, Math.ceil((shown.total ?? 0) / 50), shown.total);
  const bar = element("p", { class: "nbg-acts nbg-pages", "data-ref": shown.ref }, before, after, text, where);
  const turned = (/** @type {Rows} */ found) => {
    if (found.problem) where.textContent = found.problem;
    else {
      fill(found.rows ?? []);
      place(found.page, found.pages, found.total, found.note);
    }
  };
  bar.addEventListener("nbg-page", event => turned(detailOf(event)));
  return bar;
}

/**
 * What an event of our own carries.
 * @param {Event} event
 */
export function detailOf(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/**
 * Let the tables and trees under a root have what they lack from the kernel; gives what ends that.
 * @param {Model} model
 * @param {HTMLElement} root
 */
export function servePages(model, root) {
  /** @type {Map<string, (value: Shown) => void>} */
  const waiting = new Map();
  /** @param {Part | Rows} message */
  const answer = message => {
    if (message.kind === "part") {
      waiting.get(message.token)?.(message.value);
      waiting.delete(message.token);
    } else if (message.kind === "rows") {
      for (const bar of root.querySelectorAll(`[data-ref="${CSS.escape(message.ref)}"]`)) {
        bar.dispatchEvent(new CustomEvent("nbg-page", { detail: message }));
      }
    }
  };
  root.addEventListener("nbg-rows", event => model.send({ kind: "rows", ...detailOf(event) }));
  root.addEventListener("nbg-part", event => {
    const { done, ...asked } = detailOf(event);
    const token = String(Math.random());
    waiting.set(token, done);
    model.send({ kind: "part", token, ...asked });
  });
  model.on("msg:custom", answer);
  return () => model.off("msg:custom", answer);
}
