// What a screen reader and a person with weak sight need: names, no buttons in buttons, unique ids, contrast.
root => {
  const found = [];
  const visible = part => part.getClientRects().length > 0 && getComputedStyle(part).visibility !== "hidden";
  const named = part => part.getAttribute("aria-label") || part.textContent.trim() || part.getAttribute("alt") || part.labels?.length;
  const INTERACTIVE = "button, input, select, textarea, summary, [role=button], [role=checkbox], [role=tab], [tabindex]";
  for (const part of root.querySelectorAll(INTERACTIVE)) {
    if (!visible(part)) continue;
    if (!named(part)) found.push(`no name: ${part.outerHTML.slice(0, 80)}`);
    const seen = part.localName === "button" ? part.textContent.replace(/[^\p{L}\p{N} ]/gu, "").trim() : "";
    if (seen && !named(part).includes(seen)) found.push(`said otherwise than seen: ${seen}`);
    const role = part.getAttribute("role") || part.localName;
    const inner = part.querySelector("button, input, [role=button], [role=checkbox], a[href]");
    if (["button", "checkbox", "tab", "summary"].includes(role) && inner) found.push(`control in a control: ${named(part)}`);
  }
  const ids = [...root.querySelectorAll("[id]")].map(part => part.id);
  if (new Set(ids).size !== ids.length) found.push("ids are used twice");
  for (const image of root.querySelectorAll("img:not([alt])")) found.push(`picture without words: ${image.src.slice(0, 40)}`);
  for (const list of root.querySelectorAll("[role=tablist]")) {
    if (list.querySelectorAll("[aria-selected=true]").length !== 1) found.push("not one tab is chosen");
  }
  const numbers = text => (text.match(/[\d.]+/g) || []).map(Number);
  const srgb = text => (text.startsWith("color(srgb") ? numbers(text.slice(10)).map((one, index) => (index < 3 ? one * 255 : one)) : numbers(text));
  const light = ([red, green, blue]) => {
    const part = one => ((one /= 255) <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const ground = part => {
    for (let at = part; at; at = at.parentElement) {
      const shape = at.matches?.("g.node, g.cluster") && at.querySelector("path, polygon");
      const colour = srgb(shape ? getComputedStyle(shape).fill : getComputedStyle(at).backgroundColor);
      if (colour.length >= 3 && (colour[3] ?? 1) > 0.9) return colour;
    }
    return [255, 255, 255];
  };
  const blocked = part => part.closest("[aria-disabled=true], [aria-hidden=true].nbg-count");
  for (const part of root.querySelectorAll("*")) {
    const own = [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !visible(part) || blocked(part) || part.closest("style, title, .nbg-spoken, option")) continue;
    const style = getComputedStyle(part);
    const ink = srgb(part instanceof SVGElement ? style.fill : style.color);
    const [high, low] = [light(ink), light(ground(part))].sort((one, other) => other - one);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${part.textContent.trim().slice(0, 40)}`);
  }
  return found;
}
