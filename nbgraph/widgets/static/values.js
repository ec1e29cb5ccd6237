// Values: a preview tree from the kernel as elements. All text is set as text, never as markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

// A value: a leaf is a line, a container can be opened, a table scrolls.
// `at` tells where the kernel finds the whole of it, so that what was left out can be had.
export function valueView(shown, open = true, at = null) {
  if (!shown) return element("p", { class: "nbg-none" }, "nothing yet");
  if (shown.late) {
    const { late, ...rest } = shown;
    const hint = "Shown as it is now: there was no time to keep it as it was.";
    return element("div", {}, element("p", { class: "nbg-hint" }, hint), valueView(rest, open, at));
  }
  if (shown.kind === "table") return tableView(shown);
  if (shown.kind === "image") {
    return element("img", { class: "nbg-image", alt: shown.text, src: `data:${shown.type};base64,${shown.data}` });
  }
  if (shown.kind === "page") return pageFrame(shown);
  if (shown.items) return branchView(shown, open, at);
  const leaf = element("span", { class: `nbg-value nbg-${shown.kind}` }, leafText(shown));
  if (shown.more) leaf.append(moreView(shown.more, "characters", at, shown.text.length, found => {
    leaf.textContent = leafText({ ...shown, text: shown.text += found.text });
    return found.more;
  }));
  if (shown.deep && at) leaf.append(moreView(1, "level", at, 0, found => {
    leaf.replaceWith(valueView(found, true, at));
  }));
  return leaf;
}

function leafText(shown) {
  return shown.kind === "text" ? JSON.stringify(shown.text) : shown.text;
}

// What was left out: how much, and where the kernel has the whole, a button that gets the next of it.
function moreView(left, what, at, from, add) {
  const words = ` … ${left} more ${what}`;
  if (!at) return element("span", { class: "nbg-more" }, words);
  const one = element("button", { type: "button", class: "nbg-more", onclick: () => one.dispatchEvent(new CustomEvent("nbg-part", { bubbles: true,
    detail: { ...at, from, done: found => {
      if (!one.isConnected) return; // asked for twice, or the panel shows something else by now
      const parent = one.parentElement;
      one.remove();
      const rest = add(found);
      const count = found.items?.length ?? found.text.length;
      if (rest) parent.append(moreView(rest, what, at, from + count, add));
    } } })) }, words);
  return one;
}

// A page that a value makes of itself: nothing in it runs, nothing is loaded.
function pageFrame(shown) {
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">`;
  return element("div", {}, element("p", { class: "nbg-hint" }, shown.text),
    element("iframe", { class: "nbg-page-frame", sandbox: "", title: "The value as a page", srcdoc: policy + shown.html }));
}

function branchView(shown, open, at) {
  if (!shown.items.length && !shown.more) return element("span", { class: "nbg-value" }, shown.text);
  const list = element("ul", { class: "nbg-tree" });
  const add = (items, from) => {
    const last = list.lastElementChild?.querySelector(":scope > .nbg-key") ? null : list.lastElementChild; // the line that says how many more
    items.forEach(([key, item], index) => {
      const where = at && { ...at, path: [...at.path, from + index] };
      list.insertBefore(element("li", {}, element("span", { class: "nbg-key" }, `${key}: `), valueView(item, false, where)), last);
    });
  };
  const fill = () => {
    if (list.childElementCount) return;
    add(shown.items, 0);
    if (shown.more) list.append(element("li", {}, moreView(shown.more, "items", at, shown.items.length, found => {
      add(found.items ?? [["", found]], list.childElementCount - 1);
      return found.more;
    })));
  };
  if (open) fill();
  const details = element("details", { open }, element("summary", {}, shown.text), list);
  details.addEventListener("toggle", fill); // a deep tree is made as far as it is looked at
  return details;
}

// A table with a header that sorts. Where there are more rows than came along, the kernel sorts, filters and turns pages.
function tableView(shown) {
  const body = element("tbody");
  const fill = rows => body.replaceChildren(...rows.map(row => element("tr", {}, ...row.map((cell, index) =>
    element(index ? "td" : "th", index ? {} : { scope: "row" }, cell)))));
  const asked = { ref: shown.ref, page: 0, sort: -1, descending: false, text: "" };
  const ask = more => box.dispatchEvent(new CustomEvent("nbg-rows", { bubbles: true, detail: Object.assign(asked, { page: 0 }, more) }));
  const sort = (index, header) => {
    asked.descending = asked.sort === index && !asked.descending;
    asked.sort = index;
    for (const other of head.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", asked.descending ? "descending" : "ascending");
    if (shown.ref) return ask({});
    const sign = asked.descending ? -1 : 1;
    fill([...shown.rows].sort((a, b) => sign * a[index + 1].localeCompare(b[index + 1], undefined, { numeric: true })));
  };
  const head = element("tr", {}, element("td", {}), ...shown.columns.map((name, index) => {
    const header = element("th", { scope: "col" });
    header.append(element("button", { type: "button", onclick: () => sort(index, header) }, name));
    return header;
  }));
  fill(shown.rows);
  const box = element("div", { class: "nbg-table" }, element("p", { class: "nbg-hint" }, shown.text),
    shown.ref && pagesView(shown, asked, ask, fill),
    element("div", { class: "nbg-scroll", tabindex: "0", role: "region", "aria-label": shown.text },
      element("table", {}, element("thead", {}, head), body)));
  return box;
}

function pagesView(shown, asked, ask, fill) {
  const where = element("span", { role: "status" });
  const text = element("input", { type: "search", placeholder: "filter rows", "aria-label": "Filter the rows" });
  let waiting = 0;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask({ text: text.value }), 250);
  });
  text.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
  const turn = (sign, label, by) => element("button", { type: "button", "aria-label": label, onclick: event =>
    event.currentTarget.getAttribute("aria-disabled") !== "true" && ask({ page: asked.page + by }) }, sign);
  const before = turn("‹", "Page before", -1);
  const after = turn("›", "Next page", 1);
  const place = ({ page, pages, total, note }) => {
    asked.page = page;
    where.textContent = `page ${page + 1} of ${pages}, ${total} row${total === 1 ? "" : "s"}${note ? `, ${note}` : ""}`;
    before.setAttribute("aria-disabled", String(page === 0));
    after.setAttribute("aria-disabled", String(page >= pages - 1));
  };
  place({ page: 0, pages: Math.ceil(shown.total / 50), total: shown.total });
  const bar = element("p", { class: "nbg-acts nbg-pages", "data-ref": shown.ref }, before, after, text, where);
  bar.addEventListener("nbg-page", ({ detail }) => {
    if (detail.problem) where.textContent = detail.problem;
    else {
      fill(detail.rows);
      place(detail);
    }
  });
  return bar;
}

// Let the tables and trees under a root have what they lack from the kernel; returns what ends that.
export function servePages(model, root) {
  const waiting = new Map();
  const answer = message => {
    if (message.kind === "part") waiting.get(message.token)?.(message.value);
    waiting.delete(message.token);
    if (message.kind !== "rows") return;
    for (const bar of root.querySelectorAll(`[data-ref="${CSS.escape(message.ref)}"]`)) bar.dispatchEvent(new CustomEvent("nbg-page", { detail: message }));
  };
  root.addEventListener("nbg-rows", event => model.send({ kind: "rows", ...event.detail }));
  root.addEventListener("nbg-part", ({ detail: { done, ...asked } }) => {
    const token = String(Math.random());
    waiting.set(token, done);
    model.send({ kind: "part", token, ...asked });
  });
  model.on("msg:custom", answer);
  return () => model.off("msg:custom", answer);
}
