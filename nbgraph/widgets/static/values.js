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
export function valueView(shown, open = true) {
  if (!shown) return element("p", { class: "nbg-none" }, "nothing yet");
  if (shown.late) {
    const { late, ...rest } = shown;
    const hint = "Shown as it is now: there was no time to keep it as it was.";
    return element("div", {}, element("p", { class: "nbg-hint" }, hint), valueView(rest, open));
  }
  if (shown.kind === "table") return tableView(shown);
  if (shown.kind === "image") {
    return element("img", { class: "nbg-image", alt: shown.text, src: `data:image/png;base64,${shown.png}` });
  }
  if (shown.items) return branchView(shown, open);
  return element("span", { class: `nbg-value nbg-${shown.kind}` }, leafText(shown), moreView(shown, "characters"));
}

function leafText(shown) {
  return shown.kind === "text" ? JSON.stringify(shown.text) : shown.text;
}

function moreView(shown, what) {
  return shown.more ? element("span", { class: "nbg-more" }, ` … ${shown.more} more ${what}`) : null;
}

function branchView(shown, open) {
  if (!shown.items.length && !shown.more) return element("span", { class: "nbg-value" }, shown.text);
  const list = element("ul", { class: "nbg-tree" });
  const fill = () => {
    if (list.childElementCount) return;
    for (const [key, item] of shown.items) {
      const name = element("span", { class: "nbg-key" }, `${key}: `);
      list.append(element("li", {}, name, valueView(item, false)));
    }
    if (shown.more) list.append(element("li", {}, moreView(shown, "items")));
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

// Let the tables under a root have their pages from the kernel; returns what ends that.
export function servePages(model, root) {
  const answer = message => {
    if (message.kind !== "rows") return;
    for (const bar of root.querySelectorAll(`[data-ref="${CSS.escape(message.ref)}"]`)) bar.dispatchEvent(new CustomEvent("nbg-page", { detail: message }));
  };
  root.addEventListener("nbg-rows", event => model.send({ kind: "rows", ...event.detail }));
  model.on("msg:custom", answer);
  return () => model.off("msg:custom", answer);
}
