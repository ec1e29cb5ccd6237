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

// A table with a header that sorts the rows that are shown.
function tableView(shown) {
  const body = element("tbody");
  const fill = rows => body.replaceChildren(...rows.map(row => element("tr", {}, ...row.map((cell, index) =>
    element(index ? "td" : "th", index ? {} : { scope: "row" }, cell)))));
  let sorted = [null, 1];
  const sort = (index, header) => {
    sorted = [index, sorted[0] === index ? -sorted[1] : 1];
    for (const other of head.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sorted[1] > 0 ? "ascending" : "descending");
    fill([...shown.rows].sort((a, b) => sorted[1] * a[index].localeCompare(b[index], undefined, { numeric: true })));
  };
  const head = element("tr", {}, element("td", {}), ...shown.columns.map((name, index) => {
    const header = element("th", { scope: "col" });
    header.append(element("button", { type: "button", onclick: () => sort(index + 1, header) }, name));
    return header;
  }));
  fill(shown.rows);
  const rest = shown.total > shown.rows.length ? `, the first ${shown.rows.length} shown` : "";
  return element("div", { class: "nbg-table" },
    element("p", { class: "nbg-hint" }, `${shown.text}${rest}`),
    element("div", { class: "nbg-scroll", tabindex: "0", role: "group", "aria-label": shown.text },
      element("table", {}, element("thead", {}, head), body)));
}
