// Shapes: SVG elements, and where in a drawing they stand, read from what is drawn.

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | null>} attributes
 * @param {...Node} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {string | null} text */
function numbersIn(text) {
  return (text?.match(/-?[\d.]+/g) ?? []).map(Number);
}

/**
 * The box round several shapes (a step that answers has two borders). It is read, not measured: the browser knows no
 * boxes as long as the view is hidden, as it is in a notebook that is just opening.
 * @param {Iterable<Element>} shapes
 * @returns {Box}
 */
export function around(shapes) {
  /** @type {[number[], number[]]} */
  const [xs, ys] = [[], []];
  for (const part of shapes) {
    const given = (/** @type {string} */ name) => Number(part.getAttribute(name));
    if (part.localName === "ellipse") {
      xs.push(given("cx") - given("rx"), given("cx") + given("rx"));
      ys.push(given("cy") - given("ry"), given("cy") + given("ry"));
    } else {
      const points = numbersIn(part.getAttribute("d") ?? part.getAttribute("points"));
      for (const [index, one] of points.entries()) (index % 2 ? ys : xs).push(one);
    }
  }
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/**
 * A point of a path of cubic curves: 0.5 is its middle.
 * @param {Element | null} path
 * @param {number} share
 */
export function pointOn(path, share) {
  const points = numbersIn(path?.getAttribute("d") ?? "");
  const curves = (points.length / 2 - 1) / 3;
  const curve = Math.min(curves - 1, Math.floor(share * curves));
  const t = share * curves - curve;
  const parts = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
  const at = (/** @type {number} */ axis) =>
    parts.reduce((sum, part, index) => sum + part * points[2 * (3 * curve + index) + axis], 0);
  return { x: at(0), y: at(1) };
}

/**
 * The step that lies nearest in a direction, of those ahead.
 * @template {{ id: string, box: Box }} Placed
 * @param {Placed} step
 * @param {Iterable<Placed>} others
 * @param {[number, number]} direction
 */
export function nearest(step, others, [right, down]) {
  const middle = (/** @type {Placed} */ { box }) => [box.x + box.width / 2, box.y + box.height / 2];
  const [x, y] = middle(step);
  let found = null;
  let least = Infinity;
  for (const other of others) {
    const [dx, dy] = [middle(other)[0] - x, middle(other)[1] - y];
    const ahead = dx * right + dy * down;
    if (other === step || ahead <= 4) continue;
    const cost = ahead + 2 * Math.abs(dx * down + dy * right);
    if (cost < least) [found, least] = [other.id, cost];
  }
  return found;
}
