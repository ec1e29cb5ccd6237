// Stage: the picture itself: drawn from the kernel's SVG, walked by keyboard, marked with states.
import { Camera } from "./camera.js";
import { around, nearest, pointOn, shape } from "./shapes.js";
import { element } from "./values.js";

/** @import { Figures, Line, Picture, Step, Request } from "./protocol.js" */
/** @import { Box } from "./shapes.js" */
/** @import { StepTable } from "./table.js" */
/** @typedef {"counts" | "latency" | "throughput" | "none"} Layer */
/** @typedef {"inspect" | "break" | "hold" | "fold" | "line"} Act what a person does with a step, or with an arrow */
/** @typedef {{ steps: Record<string, Figures>, lines: Record<string, number> }} Known */

/**
 * A step as it stands in the drawing.
 * @typedef {object} Placed
 * @property {string} words
 * @property {SVGGElement} group
 * @property {Box} box
 * @property {SVGElement | null} dot its breakpoint's mark
 * @property {string[]} next
 * @property {string[]} before
 * @property {boolean} breaks
 * @property {boolean} isHeld
 * @property {string} fault why it can't run
 * @property {Figures} figures
 * @property {string} state
 * @property {number} heat
 * @property {SVGElement | null} mark
 * @property {SVGElement | null} small
 * @property {SVGElement | null} level
 */
/** @typedef {Step & Placed} Drawn */
/** @typedef {Line & { group: SVGGElement, text: SVGElement | null }} DrawnLine */

/** @type {Figures} */
export const IDLE = ["idle", 0, 0, 0, 0, 0, "", 0];
const BORDER = "path,polygon,ellipse";
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/** @param {number} number */
function rounded(number) {
  return number >= 100 ? Math.round(number) : Number(number.toPrecision(2));
}

/** @param {number} number */
function milliseconds(number) {
  return `${rounded(number)} ms`;
}

/**
 * The words of a step, which its spoken name begins with as its seen one does; those in full are a tip on its border.
 * @param {SVGGElement} group
 */
function wordsOf(group) {
  const title = group.querySelector("title");
  const texts = [...group.querySelectorAll("text")];
  const words = texts
    .map(text => text.textContent.trim())
    .filter(Boolean)
    .join(" ");
  if (words.includes("…")) group.setAttribute("aria-description", title?.textContent ?? "");
  if (title) group.querySelector(BORDER)?.append(title);
  for (const part of group.querySelectorAll(`text,${BORDER}`)) part.setAttribute("aria-hidden", "true");
  // the two are compared letter by letter
  for (const node of group.childNodes) if (node instanceof Text) node.data = " ";
  return words.replace(/\s+/g, " ");
}

/**
 * The kernel's drawing as elements, without what two views in one page would share.
 * @param {Picture} picture
 * @param {string} direction
 */
function parsed(picture, direction) {
  const { documentElement } = new DOMParser().parseFromString(picture.svg, "image/svg+xml");
  const svg = /** @type {SVGSVGElement} */ (/** @type {Node} */ (document.importNode(documentElement, true)));
  for (const part of svg.querySelectorAll("[id]")) part.removeAttribute("id");
  for (const name of ["id", "class", "width", "height"]) svg.removeAttribute(name);
  svg.querySelector(".nbg-page")?.remove();
  svg.setAttribute("data-direction", direction);
  svg.setAttribute("role", "group");
  const says = `Graph ${picture.name}, ${picture.steps.length} steps. Arrow keys move along it.`;
  svg.setAttribute("aria-label", says);
  return svg;
}

/**
 * The figures of a layer, as small print under a step.
 * @param {Layer} layer
 * @param {Figures} figures
 */
function wordsFor(layer, [, count, errors, middle, slow, rate]) {
  if (layer === "counts" && count) return `${count}${errors ? `, ${errors} failed` : ""}`;
  if (layer === "latency" && count) return `${rounded(middle)} / ${milliseconds(slow)}`;
  if (layer === "throughput" && rate) return `${rate >= 10 ? Math.round(rate) : rate}/s`;
  return "";
}

/**
 * The figure that gives the heat.
 * @param {Layer} layer
 * @param {Figures} figures
 */
function heatFor(layer, [, , , middle, , rate]) {
  return layer === "latency" ? middle : layer === "throughput" ? rate : 0;
}

/**
 * Names in a wider font than the picture was laid out for are pressed into their boxes. A hidden view has no widths.
 * @param {SVGGElement} group
 * @param {number} room
 */
function fitTexts(group, room) {
  for (const text of group.querySelectorAll("text")) {
    if (text.getComputedTextLength() <= room) continue;
    text.setAttribute("textLength", String(room));
    text.setAttribute("lengthAdjust", "spacingAndGlyphs");
  }
}

export class Stage {
  /**
   * @param {(kind: Act, id: string, on: boolean) => void} act does what a person wants of a step, or of an arrow
   * @param {{ hasMarks?: boolean }} [options]
   */
  constructor(act, { hasMarks = true } = {}) {
    this.act = act;
    this.hasMarks = hasMarks;
    this.root = element("div", { class: "nbg-stage" });
    /** @type {Map<string, Drawn>} */
    this.steps = new Map();
    /** @type {Map<string, DrawnLine>} */
    this.lines = new Map();
    /** @type {Known} */
    this.known = { steps: {}, lines: {} };
    /** @type {Known} */
    this.waiting = { steps: {}, lines: {} };
    /** @type {Layer} */
    this.layer = "counts";
    this.direction = "";
    this.free = 0; // when the next frame may be drawn
    this.hottest = 1;
    this.timer = this.frame = 0;
    this.current = this.lastLine = "";
    this.dragged = false;
    /** @type {SVGSVGElement | null} */
    this.svg = null;
    this.overlay = shape("g", { class: "nbg-overlay" });
    /** @type {Record<string, string>} */
    this.marks = {};
    /** @type {Record<string, string>} */
    this.faults = {};
    /** @type {StepTable | null} */
    this.table = null;
    /** @type {((source: string, target: string) => void) | null} */
    this.link = null;
    this.camera = new Camera(this.root);
    this.listen();
  }

  listen() {
    const stepAt = (/** @type {FocusEvent} */ event) => closest(event, "[data-step]")?.getAttribute("data-step");
    this.root.addEventListener("pointerdown", event => this.drag(event));
    this.root.addEventListener("keydown", event => this.key(event));
    this.root.addEventListener("focusin", event => this.enter(stepAt(event)));
    this.root.addEventListener("click", event => this.click(event));
  }

  /**
   * Put a new picture in the place of the old one; states of steps that are still there come with the next message.
   * @param {Picture} picture
   * @param {string} direction
   */
  draw(picture, direction) {
    this.rest();
    const chosen = this.steps.get(this.current)?.name;
    const hadFocus = this.root.contains(document.activeElement);
    const before = new Map([...this.steps.values()].map(step => [step.name, step.box]));
    this.root.replaceChildren();
    this.steps.clear();
    this.lines.clear();
    this.known = { steps: {}, lines: {} };
    this.waiting = { steps: {}, lines: {} };
    if (direction !== this.direction) this.camera.isMoved = false;
    this.direction = direction;
    this.marks = picture.marks;
    if (!picture.svg) {
      this.svg = null;
      this.camera.turnTo(null);
      const words = picture.problem || "The graph is empty.";
      this.root.append(element("p", { class: "nbg-problem", role: "alert" }, words));
      return;
    }
    this.svg = parsed(picture, direction);
    this.root.append(this.svg);
    /** @type {SVGGraphicsElement | null} */
    const drawing = this.svg.querySelector(".nbg-picture");
    this.overlay = shape("g", { class: "nbg-overlay" });
    drawing?.append(this.overlay);
    this.place(picture, chosen);
    this.camera.turnTo(this.svg, drawing, () => this.steady(before));
    const again = hadFocus && [...this.steps.values()].find(step => step.name === chosen);
    if (again) this.focus(again.id);
    this.setFaults(this.faults);
    this.table?.draw();
  }

  /**
   * Where a step stood and stands now: the chosen one, else the first that is still there.
   * @param {Map<string, Box>} before
   */
  steady(before) {
    const step = [this.steps.get(this.current), ...this.steps.values()].find(one => one && before.has(one.name));
    const old = step && before.get(step.name);
    return step && old && [old, step.box].map(box => [box.x, box.y]);
  }

  /**
   * @param {Picture} picture
   * @param {string | undefined} chosen
   */
  place(picture, chosen) {
    /** @type {NodeListOf<SVGGElement>} */
    const groups = this.root.querySelectorAll("[data-step], [data-line]");
    const drawn = new Map([...groups].map(group => [group.dataset.step ?? group.dataset.line, group]));
    for (const step of picture.steps) {
      const group = drawn.get(step.id);
      if (group) this.placeStep(step, group);
    }
    const known = new Set(picture.steps.map(step => step.id));
    for (const line of picture.lines) {
      const group = drawn.get(line.id);
      if (group) this.placeLine(line, group, known);
    }
    const first = [...this.steps.values()].find(step => step.name === chosen) ?? [...this.steps.values()][0];
    this.current = first?.id ?? "";
    first?.group.setAttribute("tabindex", "0");
  }

  /**
   * @param {Step} step
   * @param {SVGGElement} group
   */
  placeStep(step, group) {
    const box = around(group.querySelectorAll(BORDER));
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", "-1");
    const words = wordsOf(group);
    fitTexts(group, box.width - 10);
    group.setAttribute("aria-label", `${words}: idle`);
    const dot = step.type === "fold" || !this.hasMarks ? null : this.dot(step, box);
    const bare = { breaks: false, isHeld: false, fault: "", figures: IDLE, state: "", heat: 0 };
    const parts = { mark: null, small: null, level: null };
    this.steps.set(step.id, { ...step, words, group, box, dot, next: [], before: [], ...bare, ...parts });
  }

  /**
   * @param {Line} line
   * @param {SVGGElement} group
   * @param {Set<string>} known
   */
  placeLine(line, group, known) {
    group.setAttribute("aria-hidden", "true"); // what went along it can be had by key: e
    const d = group.querySelector("path")?.getAttribute("d") ?? "";
    group.append(shape("path", { d, class: "nbg-touch" })); // wide enough for a finger
    const words = group.querySelector("text");
    if (words) {
      const { x, y } = this.onArrow(group, words);
      words.setAttribute("x", String(x));
      words.setAttribute("y", String(y + 3));
      words.classList.add("nbg-said");
    }
    this.lines.set(line.id, { ...line, group, text: null });
    this.steps.get(line.source)?.next.push(line.target);
    if (known.has(line.source)) this.steps.get(line.target)?.before.push(line.source);
  }

  /**
   * Where the words of an arrow stand: on it, not between two, as far along as the layout has left room for them.
   * @param {SVGGElement} group
   * @param {SVGTextElement} words
   */
  onArrow(group, words) {
    const path = group.querySelector("path");
    const along = this.direction === "TB" ? "y" : "x";
    const wished = Number(words.getAttribute(along));
    const points = Array.from({ length: 17 }, (_, number) => pointOn(path, 0.1 + number * 0.05));
    const far = (/** @type {{ x: number, y: number }} */ point) => Math.abs(point[along] - wished);
    return points.reduce((best, point) => (far(point) < far(best) ? point : best));
  }

  /**
   * The breakpoint's mark stands beside the step, not in it: a button may not lie in a button.
   * @param {Step} step
   * @param {Box} box
   */
  dot(step, box) {
    const is = { class: "nbg-dot", role: "checkbox", tabindex: "-1", "data-break": step.id, "aria-checked": "false" };
    const stands = { "aria-label": `Breakpoint on ${step.name}`, transform: `translate(${box.x},${box.y})` };
    const circles = [shape("circle", { r: 9, class: "nbg-reach" }), shape("circle", { r: 5 })];
    return this.overlay.appendChild(shape("g", { ...is, ...stands }, ...circles));
  }

  /**
   * The row of the route that a run stands before.
   * @param {string} id
   * @param {string | undefined} route
   */
  markRoute(id, route) {
    for (const text of this.root.querySelectorAll(".nbg-route")) text.classList.remove("nbg-route");
    if (!route) return;
    const texts = [...(this.steps.get(id)?.group.querySelectorAll("text") ?? [])];
    texts.find(text => text.textContent.trim() === route.split("/")[0])?.classList.add("nbg-route");
  }

  /** @param {string[]} names */
  setBreakpoints(names) {
    const wanted = new Set(names);
    for (const step of this.steps.values()) {
      step.breaks = wanted.has(step.path);
      step.dot?.setAttribute("aria-checked", String(step.breaks));
      this.label(step);
    }
    this.table?.update([...this.steps.keys()]);
  }

  /**
   * Mark the steps that can't run, with the reason.
   * @param {Record<string, string>} faults by the steps' ids
   */
  setFaults(faults) {
    this.faults = faults;
    for (const step of this.steps.values()) {
      const fault = faults[step.id] ?? "";
      if (fault === step.fault) continue;
      step.fault = fault;
      step.group.toggleAttribute("data-fault", Boolean(fault));
      this.paintStep(step.id, step.figures);
    }
    this.table?.update([...this.steps.keys()]);
  }

  /**
   * Messages come up to 25 times a second, frames are drawn when the browser is ready; the last word on a step counts.
   * Where a frame takes long, as with a thousand steps, twice its time is left to all else in the page.
   * @param {Known} message
   */
  show(message) {
    Object.assign(this.waiting.steps, message.steps);
    Object.assign(this.waiting.lines, message.lines);
    const paint = () => {
      this.frame = requestAnimationFrame(() => this.paint());
    };
    this.timer ||= setTimeout(paint, Math.max(0, this.free - performance.now()));
  }

  paint() {
    this.timer = 0;
    const began = performance.now();
    requestAnimationFrame(now => {
      this.free = now + 2 * Math.max(0, now - began - 17);
    });
    const { steps, lines } = this.waiting;
    this.waiting = { steps: {}, lines: {} };
    Object.assign(this.known.steps, steps);
    Object.assign(this.known.lines, lines);
    const isHot = this.layer === "latency" || this.layer === "throughput"; // then every step is compared with all
    const painted = isHot ? this.known.steps : steps;
    this.compare();
    for (const id in painted) this.paintStep(id, painted[id]);
    for (const id in lines) this.paintLine(id, lines[id]);
    this.table?.update(Object.keys(steps));
  }

  compare() {
    const figures = Object.values(this.known.steps);
    this.hottest = Math.max(1e-9, ...figures.map(line => heatFor(this.layer, line)));
  }

  repaint() {
    this.svg?.setAttribute("data-layer", this.layer);
    this.compare();
    for (const id in this.known.steps) this.paintStep(id, this.known.steps[id]);
    for (const id in this.known.lines) this.paintLine(id, this.known.lines[id]);
  }

  /**
   * @param {string} id
   * @param {Figures} figures
   */
  paintStep(id, figures) {
    const step = this.steps.get(id);
    if (!step) return;
    const [state, , errors, , , , note, level] = figures;
    if (step.state !== state) {
      step.state = state;
      step.group.setAttribute("data-status", state);
      this.mark(step, state);
    }
    this.heat(step, figures);
    const isUrgent = note && ["failed", "waiting", "paused", "changed"].includes(state);
    const words = isUrgent ? note : step.fault || wordsFor(this.layer, figures) || note;
    const isBad = (state === "failed" && note) || step.fault || (this.layer === "counts" && errors);
    this.note(step, words, Boolean(isBad));
    this.gauge(step, level);
    step.figures = figures;
    step.isHeld = state === "paused";
    this.label(step);
  }

  /**
   * @param {Drawn} step
   * @param {Figures} figures
   */
  heat(step, figures) {
    const heat = heatFor(this.layer, figures) / this.hottest;
    if (heat !== step.heat) step.group.style.setProperty("--nbg-heat", `${Math.round(heat * 55)}%`);
    step.heat = heat;
  }

  /** @param {Drawn} step */
  label(step) {
    const [state, count, errors, middle, , , note] = step.figures;
    /** @type {string[]} */
    const words = [state];
    if (count) words.push(milliseconds(middle), `${count} event${count === 1 ? "" : "s"}`);
    if (errors) words.push(`${errors} failed`);
    if (note) words.push(note);
    if (step.fault) words.push(`can't run: ${step.fault}`);
    if (step.breaks) words.push("breakpoint");
    step.group.setAttribute("aria-label", `${step.words}: ${words.join(", ")}`);
  }

  /**
   * @param {Drawn} step
   * @param {string} state
   */
  mark(step, state) {
    step.mark?.remove();
    step.mark = null;
    if (!this.marks[state]) return;
    const transform = `translate(${step.box.x + step.box.width},${step.box.y})`;
    const parts = [shape("circle", { r: 7, fill: "currentColor" }), shape("path", { d: this.marks[state] })];
    step.mark = step.group.appendChild(shape("g", { class: "nbg-mark", transform }, ...parts));
  }

  /**
   * A line of small print under a step, cut to what has room there; the whole of it is in the step's label.
   * @param {Drawn} step
   * @param {string} text
   * @param {boolean} isError
   */
  note(step, text, isError) {
    if (!text) {
      step.small?.remove();
      step.small = null;
      return;
    }
    const { x, y, width, height } = step.box;
    const at = { x: x + width / 2, y: y + height + 12 };
    step.small ??= this.overlay.appendChild(shape("text", { class: "nbg-note", ...at, "aria-hidden": "true" }));
    const room = Math.max(16, Math.floor((width + Math.max(40, this.gap(step))) / 5.5));
    step.small.textContent = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    step.small.classList.toggle("nbg-bad", isError);
  }

  /**
   * The room on both sides of what stands under a step, up to its neighbours; half of it is theirs.
   * @param {Drawn} step
   */
  gap({ id, box }) {
    const middle = box.x + box.width / 2;
    const beside = [...this.steps.values()].filter(
      one => one.id !== id && one.box.y < box.y + box.height + 14 && box.y < one.box.y + one.box.height + 14,
    );
    const gaps = beside.map(({ box: { x, width } }) => (x > middle ? x - box.x - box.width : box.x - x - width));
    return Math.min(300, ...gaps);
  }

  /**
   * How full a queue is: a bar along its lower edge.
   * @param {Drawn} step
   * @param {number} level
   */
  gauge(step, level) {
    if (!level && !step.level) return;
    const { x, y, width, height } = step.box;
    const at = { x, y: y + height - 4, height: 4, rx: 2 };
    step.level ??= this.overlay.appendChild(shape("rect", { class: "nbg-level", ...at, "aria-hidden": "true" }));
    step.level.setAttribute("width", String(Math.round(width * level)));
    step.level.classList.toggle("nbg-full", level >= 1);
  }

  /**
   * @param {string} id
   * @param {number} count
   */
  paintLine(id, count) {
    const line = this.lines.get(id);
    if (!line) return;
    if (!count) {
      line.text?.remove();
      line.text = null;
      return;
    }
    if (!line.text) {
      line.text = this.countText(line.group);
      line.group.classList.add("nbg-used");
    }
    line.text.textContent = String(count);
  }

  /**
   * Where the count of an arrow stands: behind its words, where it has some, else in its middle.
   * @param {SVGGElement} group
   */
  countText(group) {
    const words = group.querySelector("text");
    if (words) return words.appendChild(shape("tspan", { class: "nbg-count", dx: 6 }));
    const { x, y } = pointOn(group.querySelector("path"), 0.5);
    return this.overlay.appendChild(shape("text", { class: "nbg-count", x, y: y + 11, "aria-hidden": "true" }));
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (!this.svg || event.button !== 0) return;
    const held = closest(event, "[data-step]")?.getAttribute("data-step");
    if (this.link && held) return this.pull(held);
    this.dragged = false;
    this.camera.pan(event, () => {
      this.dragged = true;
    });
  }

  /**
   * Where arrows may be drawn (`link` is set): a thread from a step, let go over another one.
   * @param {string} source
   */
  pull(source) {
    const step = this.steps.get(source);
    if (!step) return;
    const { box } = step;
    const thread = shape("line", { class: "nbg-thread", x1: box.x + box.width, y1: box.y + box.height / 2 });
    const move = (/** @type {PointerEvent} */ event) => {
      const seen = this.overlay.getScreenCTM()?.inverse();
      const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(seen);
      thread.setAttribute("x2", String(spot.x));
      thread.setAttribute("y2", String(spot.y));
      const way = Math.hypot(spot.x - box.x - box.width / 2, spot.y - box.y - box.height / 2);
      if (!thread.isConnected && way > box.height) this.overlay.append(thread);
    };
    const end = (/** @type {PointerEvent} */ event) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      const target = closest(event, "[data-step]")?.getAttribute("data-step");
      if (thread.isConnected && target && target !== source) this.link?.(source, target);
      this.dragged = thread.isConnected;
      setTimeout(() => {
        this.dragged = false;
      });
      thread.remove();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  /** @param {MouseEvent} event */
  click(event) {
    if (this.dragged) {
      this.dragged = false;
      return;
    }
    const dot = closest(event, "[data-break]")?.getAttribute("data-break");
    if (dot) return this.toggle(dot);
    const line = closest(event, "[data-line]")?.getAttribute("data-line");
    if (line) return this.act("line", line, false);
    const step = closest(event, "[data-step]")?.getAttribute("data-step");
    if (!step) return;
    this.focus(step);
    this.open();
  }

  // A fold opens, a step shows what it saw.
  open() {
    const isFold = this.steps.get(this.current)?.type === "fold";
    this.act(isFold ? "fold" : "inspect", this.current, false);
  }

  /** @param {string} id */
  toggle(id) {
    const step = this.steps.get(id);
    if (!step?.dot) return;
    step.breaks = !step.breaks;
    step.dot.setAttribute("aria-checked", String(step.breaks));
    this.label(step);
    this.act("break", id, step.breaks);
  }

  /**
   * The one step that the tab key comes to is the one that had the focus last.
   * @param {string | null | undefined} id
   */
  enter(id) {
    const step = this.steps.get(id ?? "");
    if (!step) return;
    this.steps.get(this.current)?.group.setAttribute("tabindex", "-1");
    this.current = step.id;
    step.group.setAttribute("tabindex", "0");
  }

  /** @param {string} id */
  focus(id) {
    const step = this.steps.get(id);
    if (!step) return;
    this.enter(id);
    this.camera.reveal(step.box);
    step.group.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.svg || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = this.steps.get(this.current);
    const isDot = Boolean(closest(event, "[data-break]"));
    const does = this.keys(isDot, step);
    if (ARROWS[event.key] && step) this.go(step, event.key);
    else if (does[event.key] && (step || "+-=0".includes(event.key))) does[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has meanings of its own for these keys
  }

  /**
   * @param {boolean} isDot
   * @param {Drawn | undefined} step
   * @returns {Record<string, () => void>}
   */
  keys(isDot, step) {
    const ids = [...this.steps.keys()];
    const enter = () => (isDot ? this.toggle(this.current) : this.open());
    const closer = () => this.camera.zoom(1.25);
    return {
      Enter: enter,
      " ": enter,
      b: () => this.toggle(this.current),
      p: () => this.act("hold", this.current, !step?.isHeld),
      e: () => this.nextLine(),
      f: () => this.act("fold", this.current, step?.type !== "fold"),
      "+": closer,
      "=": closer,
      "-": () => this.camera.zoom(0.8),
      0: () => this.camera.fit(),
      Home: () => this.focus(ids[0]),
      End: () => this.focus(ids[ids.length - 1]),
    };
  }

  /**
   * LineEvents an arrow where one leads that way, else to what lies nearest.
   * @param {Drawn} step
   * @param {string} key
   */
  go(step, key) {
    const [forth, back] = this.direction === "TB" ? ["ArrowDown", "ArrowUp"] : ["ArrowRight", "ArrowLeft"];
    const followed = key === forth ? step.next : key === back ? step.before : [];
    const next = followed.find(id => this.steps.has(id)) ?? nearest(step, this.steps.values(), ARROWS[key]);
    if (next) this.focus(next);
  }

  // Open the arrows that leave a step, one after the other.
  nextLine() {
    const leaving = [...this.lines.values()].filter(line => line.source === this.current);
    if (!leaving.length) return;
    const at = leaving.findIndex(line => line.id === this.lastLine);
    this.lastLine = leaving[(at + 1) % leaving.length].id;
    this.act("line", this.lastLine, false);
  }

  // Nothing more is painted of what is known by now.
  rest() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.timer = 0;
  }

  close() {
    this.rest();
    this.camera.close();
  }
}

/**
 * What a person does in the picture, as the kernel is asked for it.
 * @param {Act} kind
 * @param {string} id
 * @param {boolean} on
 * @returns {Request}
 */
export function wishOf(kind, id, on) {
  return kind === "line" ? { kind, line: id } : /** @type {Request} */ ({ kind, step: id, on });
}

/**
 * The element with a mark that an event happened in.
 * @param {Event} event
 * @param {string} selector
 */
function closest(event, selector) {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}
