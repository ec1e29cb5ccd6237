// Stage: the picture itself: drawn from the kernel's SVG, moved and zoomed, walked by keyboard, marked with states.
import { element } from "./values.js";

const READABLE = 0.55; // the scale below which names can't be read
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const numbers = text => (text.match(/-?[\d.]+/g) ?? []).map(Number);

// The box round several shapes (a step that answers has two borders), read from what is drawn: the browser knows no
// boxes as long as the view is hidden, as it is in a notebook that is just opening.
function around(shapes) {
  const [xs, ys] = [[], []];
  for (const part of shapes) {
    const given = name => Number(part.getAttribute(name));
    if (part.localName === "ellipse") {
      xs.push(given("cx") - given("rx"), given("cx") + given("rx"));
      ys.push(given("cy") - given("ry"), given("cy") + given("ry"));
    } else numbers(part.getAttribute("d") ?? part.getAttribute("points")).forEach((one, index) => (index % 2 ? ys : xs).push(one));
  }
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

// The middle of a path of cubic curves: the point between its halves, or that of the curve in its middle.
function middleOf(path) {
  const points = numbers(path.getAttribute("d"));
  const at = index => ({ x: points[2 * index], y: points[2 * index + 1] });
  const curves = (points.length / 2 - 1) / 3;
  if (curves % 2 === 0) return at((curves / 2) * 3);
  const [one, two, three, four] = [0, 1, 2, 3].map(index => at(((curves - 1) / 2) * 3 + index));
  return { x: (one.x + 3 * two.x + 3 * three.x + four.x) / 8, y: (one.y + 3 * two.y + 3 * three.y + four.y) / 8 };
}

function milliseconds(number) {
  return `${number >= 100 ? Math.round(number) : Number(number.toPrecision(2))} ms`;
}

export class Stage {
  // `act(kind, step id)` is called when a person opens a step ("inspect") or touches its mark ("break").
  constructor(act) {
    this.act = act;
    this.root = element("div", { class: "nbg-stage" });
    this.steps = new Map();
    this.lines = new Map();
    this.known = { steps: {}, lines: {} };
    this.waiting = { steps: {}, lines: {} };
    this.layer = "counts";
    this.current = null;
    this.root.addEventListener("wheel", event => this.wheel(event), { passive: false });
    this.root.addEventListener("pointerdown", event => this.drag(event));
    this.root.addEventListener("keydown", event => this.key(event));
    this.root.addEventListener("focusin", event => this.enter(event.target.closest("[data-step]")?.getAttribute("data-step")));
    this.root.addEventListener("click", event => this.click(event));
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
  }

  // Put a new picture in the place of the old one; states of steps that are still there come with the next message.
  draw(picture, direction) {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const focused = this.root.contains(document.activeElement) ? this.current && this.steps.get(this.current)?.name : null;
    this.root.replaceChildren();
    this.steps.clear();
    this.lines.clear();
    this.known = { steps: {}, lines: {} };
    this.waiting = { steps: {}, lines: {} };
    this.direction = direction;
    this.marks = picture.marks;
    if (!picture.svg) {
      this.root.append(element("p", { class: "nbg-problem", role: "alert" }, picture.problem || "The graph is empty."));
      return;
    }
    const parsed = new DOMParser().parseFromString(picture.svg, "image/svg+xml").documentElement;
    this.svg = document.importNode(parsed, true);
    for (const part of this.svg.querySelectorAll("[id]")) part.removeAttribute("id"); // views would share them
    this.svg.removeAttribute("id");
    this.svg.removeAttribute("class");
    this.svg.querySelector(".nbg-page")?.remove();
    this.size = this.svg.viewBox.baseVal ? [this.svg.viewBox.baseVal.width, this.svg.viewBox.baseVal.height] : [100, 100];
    this.svg.removeAttribute("width");
    this.svg.removeAttribute("height");
    this.svg.setAttribute("role", "group");
    this.svg.setAttribute("aria-label", `Graph ${picture.name}, ${picture.steps.length} steps. Arrow keys move along it.`);
    this.root.append(this.svg);
    const drawing = this.svg.querySelector(".nbg-picture");
    const moved = drawing.transform.baseVal.consolidate()?.matrix;
    this.origin = moved ? [moved.e, moved.f] : [0, 0];
    this.overlay = drawing.appendChild(shape("g", { class: "nbg-overlay" }));
    this.place(picture);
    this.fit(READABLE);
    const again = [...this.steps.values()].find(step => step.name === focused);
    if (again) this.focus(again.id);
    this.table?.draw();
  }

  place(picture) {
    for (const step of picture.steps) {
      const group = this.svg.querySelector(`[data-step="${step.id}"]`);
      if (!group) continue;
      const box = around(group.querySelectorAll("path,polygon,ellipse"));
      group.setAttribute("role", "button");
      group.setAttribute("tabindex", "-1");
      group.setAttribute("aria-label", `${step.name}: idle`);
      for (const text of group.querySelectorAll("text")) text.setAttribute("aria-hidden", "true");
      const dot = step.type === "fold" ? null : this.dot(step, box);
      this.steps.set(step.id, { ...step, group, box, dot, next: [], before: [], breaks: false });
    }
    const names = new Map(picture.steps.map(step => [step.id, step]));
    for (const line of picture.lines) {
      const group = this.svg.querySelector(`[data-line="${line.id}"]`);
      group.setAttribute("aria-hidden", "true"); // what went along it can be had by key: e
      const path = group.querySelector("path");
      group.append(shape("path", { d: path.getAttribute("d"), class: "nbg-touch" })); // wide enough for a finger
      this.lines.set(line.id, { ...line, group });
      this.steps.get(line.source)?.next.push(line.target);
      if (names.has(line.source)) this.steps.get(line.target)?.before.push(line.source);
    }
    this.current = this.steps.keys().next().value ?? null;
    if (this.current) this.steps.get(this.current).group.setAttribute("tabindex", "0");
  }

  // The breakpoint's mark stands beside the step, not in it: a button may not lie in a button.
  dot(step, box) {
    const dot = shape("g", {
      class: "nbg-dot", role: "checkbox", tabindex: "-1", "data-break": step.id, "aria-checked": "false",
      "aria-label": `Breakpoint on ${step.name}`, transform: `translate(${box.x},${box.y})`,
    }, shape("circle", { r: 9, class: "nbg-reach" }), shape("circle", { r: 5 }));
    this.overlay.append(dot);
    return dot;
  }

  setBreakpoints(names) {
    const wanted = new Set(names);
    for (const step of this.steps.values()) {
      step.breaks = wanted.has(step.name);
      step.dot?.setAttribute("aria-checked", String(step.breaks));
      this.label(step);
    }
    this.table?.update([...this.steps.keys()]);
  }

  // Messages come up to 25 times a second, frames are drawn when the browser is ready; the last word on a step counts.
  show(message) {
    Object.assign(this.waiting.steps, message.steps);
    Object.assign(this.waiting.lines, message.lines);
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.frame = null;
    const { steps, lines } = this.waiting;
    this.waiting = { steps: {}, lines: {} };
    Object.assign(this.known.steps, steps);
    Object.assign(this.known.lines, lines);
    if (this.layer === "latency" || this.layer === "throughput") for (const id in this.known.steps) this.paintStep(id, this.known.steps[id]);
    else for (const id in steps) this.paintStep(id, steps[id]);
    for (const id in lines) this.paintLine(id, lines[id]);
    this.table?.update(Object.keys(steps));
  }

  repaint() {
    this.svg?.setAttribute("data-layer", this.layer);
    for (const id in this.known.steps) this.paintStep(id, this.known.steps[id]);
    for (const id in this.known.lines) this.paintLine(id, this.known.lines[id]);
  }

  paintStep(id, [state, count, errors, middle, , rate, note]) {
    const step = this.steps.get(id);
    if (!step) return;
    if (step.state !== state) {
      step.state = state;
      step.group.setAttribute("data-status", state);
      this.mark(step, state);
    }
    const place = { latency: 3, throughput: 5 }[this.layer]; // the figure that gives the heat
    const heat = place ? { 3: middle, 5: rate }[place] / Math.max(1e-9, ...Object.values(this.known.steps).map(line => line[place])) : 0;
    step.group.style.setProperty("--nbg-heat", `${Math.round(heat * 55)}%`);
    const figures = { none: "", counts: count ? `${count}${errors ? `, ${errors} failed` : ""}` : "", latency: count ? milliseconds(middle) : "", throughput: rate ? `${rate >= 10 ? Math.round(rate) : rate}/s` : "" };
    this.note(step, note && state === "failed" ? note : figures[this.layer] || note, state === "failed" && note);
    step.figures = [state, count, errors, middle, note];
    this.label(step);
  }

  label(step) {
    const [state, count, errors, middle, note] = step.figures ?? ["idle", 0, 0, 0, ""];
    const words = [state];
    if (count) words.push(milliseconds(middle), `${count} event${count === 1 ? "" : "s"}`);
    if (errors) words.push(`${errors} failed`);
    if (note) words.push(note);
    if (step.breaks) words.push("breakpoint");
    step.group.setAttribute("aria-label", `${step.name}: ${words.join(", ")}`);
  }

  mark(step, state) {
    step.mark?.remove();
    step.mark = null;
    if (!this.marks[state]) return;
    step.mark = step.group.appendChild(shape("g", {
      class: "nbg-mark", transform: `translate(${step.box.x + step.box.width},${step.box.y})`,
    }, shape("circle", { r: 7, fill: "currentColor" }), shape("path", { d: this.marks[state] })));
  }

  // A line of small print under a step, cut to what has room there; the whole of it is in the step's label.
  note(step, text, isError) {
    if (!text) {
      step.small?.remove();
      step.small = null;
      return;
    }
    if (!step.small) {
      const { x, y, width, height } = step.box;
      step.small = this.overlay.appendChild(shape("text", { class: "nbg-note", x: x + width / 2, y: y + height + 12, "aria-hidden": "true" }));
    }
    step.small.textContent = text.length > 38 ? `${text.slice(0, 37)}…` : text;
    step.small.classList.toggle("nbg-bad", Boolean(isError));
  }

  paintLine(id, count) {
    const line = this.lines.get(id);
    if (!line) return;
    if (!line.text) {
      const middle = middleOf(line.group.querySelector("path"));
      line.text = this.overlay.appendChild(shape("text", { class: "nbg-count", x: middle.x, y: middle.y + 11, "aria-hidden": "true" }));
      line.group.classList.add("nbg-used");
    }
    line.text.textContent = String(count);
  }

  // --- moving -----------------------------------------------------------------------------------------------------

  // The whole picture in the room there is; `least` keeps a very long one readable, from its beginning.
  fit(least = 0) {
    if (!this.svg) return;
    const [width, height] = this.size;
    const room = this.root.clientWidth || 800;
    const scale = Math.max(least, Math.min(1.25, room / width));
    this.root.style.height = `${Math.round(Math.min(560, Math.max(96, height * scale + 20)))}px`;
    const space = [room / scale, Math.max(height, (this.root.clientHeight || height) / scale)];
    this.look = [width > space[0] ? 0 : (width - space[0]) / 2, (height - space[1]) / 2, space[0], space[1]];
    this.apply();
  }

  resized() {
    if (!this.svg || this.root.clientWidth === this.width) return;
    this.width = this.root.clientWidth;
    this.fit(READABLE);
  }

  apply() {
    this.svg.setAttribute("viewBox", this.look.map(number => number.toFixed(2)).join(" "));
  }

  // Zoom round a point of the picture that stays where it is; without one round the middle.
  zoom(factor, at = null) {
    const [x, y, width, height] = this.look;
    const wide = Math.min(this.size[0] * 4, Math.max(60, width / factor));
    const ratio = wide / width;
    const [px, py] = at ?? [x + width / 2, y + height / 2];
    this.look = [px - (px - x) * ratio, py - (py - y) * ratio, wide, height * ratio];
    this.apply();
  }

  wheel(event) {
    if (!this.svg || !(event.ctrlKey || event.metaKey)) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    this.zoom(Math.exp(-event.deltaY / 300), [spot.x, spot.y]);
  }

  drag(event) {
    if (!this.svg || event.button !== 0) return;
    const held = event.target.closest("[data-step]");
    if (this.link && held) return this.pull(held.getAttribute("data-step"));
    const from = [event.clientX, event.clientY];
    const look = [...this.look];
    const scale = look[2] / this.root.clientWidth;
    this.dragged = false;
    const move = next => {
      const by = [next.clientX - from[0], next.clientY - from[1]];
      if (!this.dragged && Math.hypot(...by) < 4) return;
      this.dragged = true;
      this.look = [look[0] - by[0] * scale, look[1] - by[1] * scale, look[2], look[3]];
      this.apply();
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  // Where arrows may be drawn (`link` is set): a thread from a step, let go over another one.
  pull(source) {
    const { box } = this.steps.get(source);
    const thread = shape("line", { class: "nbg-thread", x1: box.x + box.width, y1: box.y + box.height / 2 });
    const move = event => {
      const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.overlay.getScreenCTM().inverse());
      thread.setAttribute("x2", spot.x);
      thread.setAttribute("y2", spot.y);
      if (!thread.isConnected && Math.hypot(spot.x - box.x - box.width / 2, spot.y - box.y - box.height / 2) > box.height) this.overlay.append(thread);
    };
    const end = event => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      const target = event.target.closest?.("[data-step]")?.getAttribute("data-step");
      if (thread.isConnected && target && target !== source) this.link(source, target);
      this.dragged = thread.isConnected;
      setTimeout(() => { this.dragged = false; });
      thread.remove();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  // Bring a step into sight without changing the scale.
  reveal(step) {
    const [x, y, width, height] = this.look;
    const box = step.box;
    const middle = [box.x + box.width / 2 + this.origin[0], box.y + box.height / 2 + this.origin[1]];
    if (middle[0] < x || middle[0] > x + width) this.look[0] = middle[0] - width / 2;
    if (middle[1] < y || middle[1] > y + height) this.look[1] = middle[1] - height / 2;
    this.apply();
  }

  // --- choosing ---------------------------------------------------------------------------------------------------

  click(event) {
    if (this.dragged) {
      this.dragged = false;
      return;
    }
    const dot = event.target.closest("[data-break]");
    if (dot) return this.toggle(dot.getAttribute("data-break"));
    const line = event.target.closest("[data-line]");
    if (line) return this.act("line", line.getAttribute("data-line"));
    const group = event.target.closest("[data-step]");
    if (!group) return;
    this.focus(group.getAttribute("data-step"));
    this.open();
  }

  // A fold opens, a step shows what it saw.
  open() {
    const isFold = this.steps.get(this.current)?.type === "fold";
    this.act(isFold ? "fold" : "inspect", this.current, false);
  }

  toggle(id) {
    const step = this.steps.get(id);
    if (!step.dot) return;
    step.breaks = !step.breaks;
    step.dot.setAttribute("aria-checked", String(step.breaks));
    this.label(step);
    this.act("break", id, step.breaks);
  }

  // The one step that the tab key comes to is the one that had the focus last.
  enter(id) {
    const step = this.steps.get(id);
    if (!step) return;
    this.steps.get(this.current)?.group.setAttribute("tabindex", "-1");
    this.current = id;
    step.group.setAttribute("tabindex", "0");
  }

  focus(id) {
    const step = this.steps.get(id);
    if (!step) return;
    this.enter(id);
    this.reveal(step);
    step.group.focus({ preventScroll: true });
  }

  key(event) {
    if (!this.svg || event.ctrlKey || event.metaKey || event.altKey) return;
    const along = this.direction === "TB" ? ["ArrowDown", "ArrowUp"] : ["ArrowRight", "ArrowLeft"];
    const step = this.steps.get(this.current);
    const dot = event.target.closest?.("[data-break]");
    const does = {
      Enter: () => (dot ? this.toggle(this.current) : this.open()),
      " ": () => (dot ? this.toggle(this.current) : this.open()),
      b: () => this.toggle(this.current), e: () => this.nextLine(),
      f: () => this.act("fold", this.current, step.type !== "fold"), "+": () => this.zoom(1.25), "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8), 0: () => this.fit(), Home: () => this.focus(this.steps.keys().next().value),
      End: () => this.focus([...this.steps.keys()].at(-1)),
    };
    const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    if (arrows[event.key] && step) {
      const followed = event.key === along[0] ? step.next : event.key === along[1] ? step.before : [];
      const next = followed.find(id => this.steps.has(id)) ?? this.nearest(step, arrows[event.key]);
      if (next) this.focus(next);
    } else if (does[event.key] && (step || "+-=0".includes(event.key))) does[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has meanings of its own for these keys
  }

  // Open the arrows that leave a step, one after the other.
  nextLine() {
    const leaving = [...this.lines.values()].filter(line => line.source === this.current);
    if (!leaving.length) return;
    const at = leaving.findIndex(line => line.id === this.lastLine);
    this.lastLine = leaving[(at + 1) % leaving.length].id;
    this.act("line", this.lastLine);
  }

  // The step that lies nearest in a direction.
  nearest(step, [right, down]) {
    const middle = ({ box }) => [box.x + box.width / 2, box.y + box.height / 2];
    const [x, y] = middle(step);
    let found = null;
    let least = Infinity;
    for (const other of this.steps.values()) {
      const [dx, dy] = [middle(other)[0] - x, middle(other)[1] - y];
      const ahead = dx * right + dy * down;
      if (other === step || ahead <= 4) continue;
      const cost = ahead + 2 * Math.abs(dx * down + dy * right);
      if (cost < least) [found, least] = [other.id, cost];
    }
    return found;
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
  }
}
