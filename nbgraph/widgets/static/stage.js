// Stage: the picture itself: drawn from the kernel's SVG, walked by keyboard, marked with states.
import { Camera } from "./camera.js";
import { around, nearest, pointOn, shape } from "./shapes.js";
import { element } from "./values.js";

function rounded(number) {
  return number >= 100 ? Math.round(number) : Number(number.toPrecision(2));
}

function milliseconds(number) {
  return `${rounded(number)} ms`;
}

// The words of a step, which its spoken name begins with as its seen one does; those in full are a tip on its border.
function wordsOf(group) {
  const title = group.querySelector("title");
  const texts = [...group.querySelectorAll("text")];
  const words = texts.map(text => text.textContent.trim()).filter(Boolean).join(" ");
  if (words.includes("…")) group.setAttribute("aria-description", title.textContent);
  group.querySelector("path,polygon,ellipse").append(title);
  for (const part of group.querySelectorAll("text,path,polygon,ellipse")) part.setAttribute("aria-hidden", "true");
  for (const node of group.childNodes) if (node.nodeType === Node.TEXT_NODE) node.data = " "; // the two are compared letter by letter
  return words.replace(/\s+/g, " ");
}

export class Stage {
  // `act(kind, step id)` is called when a person opens a step ("inspect") or touches its mark ("break").
  constructor(act, { hasMarks = true } = {}) {
    this.act = act;
    this.hasMarks = hasMarks;
    this.root = element("div", { class: "nbg-stage" });
    this.steps = new Map();
    this.lines = new Map();
    this.known = { steps: {}, lines: {} };
    this.waiting = { steps: {}, lines: {} };
    this.layer = "counts";
    this.free = 0; // when the next frame may be drawn
    this.current = null;
    this.camera = new Camera(this.root);
    this.root.addEventListener("pointerdown", event => this.drag(event));
    this.root.addEventListener("keydown", event => this.key(event));
    this.root.addEventListener("focusin", event => this.enter(event.target.closest("[data-step]")?.getAttribute("data-step")));
    this.root.addEventListener("click", event => this.click(event));
  }

  // Put a new picture in the place of the old one; states of steps that are still there come with the next message.
  draw(picture, direction) {
    this.rest();
    const focused = this.root.contains(document.activeElement) ? this.current && this.steps.get(this.current)?.name : null;
    const chosen = this.steps.get(this.current)?.name;
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
      this.root.append(element("p", { class: "nbg-problem", role: "alert" }, picture.problem || "The graph is empty."));
      return;
    }
    const parsed = new DOMParser().parseFromString(picture.svg, "image/svg+xml").documentElement;
    this.svg = document.importNode(parsed, true);
    for (const part of this.svg.querySelectorAll("[id]")) part.removeAttribute("id"); // views would share them
    this.svg.removeAttribute("id");
    this.svg.removeAttribute("class");
    this.svg.querySelector(".nbg-page")?.remove();
    this.svg.removeAttribute("width");
    this.svg.removeAttribute("height");
    this.svg.setAttribute("data-direction", direction);
    this.svg.setAttribute("role", "group");
    this.svg.setAttribute("aria-label", `Graph ${picture.name}, ${picture.steps.length} steps. Arrow keys move along it.`);
    this.root.append(this.svg);
    const drawing = this.svg.querySelector(".nbg-picture");
    this.overlay = drawing.appendChild(shape("g", { class: "nbg-overlay" }));
    this.place(picture, chosen);
    this.camera.turnTo(this.svg, drawing, () => this.steady(before));
    const again = [...this.steps.values()].find(step => step.name === focused);
    if (again) this.focus(again.id);
    this.table?.draw();
  }

  // Where a step stood and stands now: the chosen one, else the first that is still there.
  steady(before) {
    const step = [this.steps.get(this.current), ...this.steps.values()].find(one => one && before.has(one.name));
    return step && [before.get(step.name), step.box].map(box => [box.x, box.y]);
  }

  place(picture, chosen) {
    const drawn = new Map([...this.svg.querySelectorAll("[data-step], [data-line]")].map(group => [group.dataset.step ?? group.dataset.line, group]));
    for (const step of picture.steps) {
      const group = drawn.get(step.id);
      if (!group) continue;
      const box = around(group.querySelectorAll("path,polygon,ellipse"));
      group.setAttribute("role", "button");
      group.setAttribute("tabindex", "-1");
      const words = wordsOf(group);
      group.setAttribute("aria-label", `${words}: idle`);
      const dot = step.type === "fold" || !this.hasMarks ? null : this.dot(step, box);
      this.steps.set(step.id, { ...step, words, group, box, dot, next: [], before: [], breaks: false });
    }
    const names = new Map(picture.steps.map(step => [step.id, step]));
    for (const line of picture.lines) {
      const group = drawn.get(line.id);
      group.setAttribute("aria-hidden", "true"); // what went along it can be had by key: e
      const path = group.querySelector("path");
      group.append(shape("path", { d: path.getAttribute("d"), class: "nbg-touch" })); // wide enough for a finger
      this.lines.set(line.id, { ...line, group });
      this.steps.get(line.source)?.next.push(line.target);
      if (names.has(line.source)) this.steps.get(line.target)?.before.push(line.source);
    }
    this.current = ([...this.steps.values()].find(step => step.name === chosen) ?? this.steps.values().next().value)?.id ?? null;
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

  // The row of the route that a run stands before.
  markRoute(id, route) {
    for (const text of this.root.querySelectorAll(".nbg-route")) text.classList.remove("nbg-route");
    const texts = route ? [...this.steps.get(id)?.group.querySelectorAll("text") ?? []] : [];
    texts.find(text => text.textContent.trim() === route.split("/")[0])?.classList.add("nbg-route");
  }

  setBreakpoints(names) {
    const wanted = new Set(names);
    for (const step of this.steps.values()) {
      step.breaks = wanted.has(step.path);
      step.dot?.setAttribute("aria-checked", String(step.breaks));
      this.label(step);
    }
    this.table?.update([...this.steps.keys()]);
  }

  // Messages come up to 25 times a second, frames are drawn when the browser is ready; the last word on a step counts.
  // Where a frame takes long, as with a thousand steps, twice its time is left to all else in the page.
  show(message) {
    Object.assign(this.waiting.steps, message.steps);
    Object.assign(this.waiting.lines, message.lines);
    this.timer ??= setTimeout(() => { this.frame = requestAnimationFrame(() => this.paint()); }, Math.max(0, this.free - performance.now()));
  }

  paint() {
    this.timer = null;
    const began = performance.now();
    requestAnimationFrame(now => { this.free = now + 2 * Math.max(0, now - began - 17); });
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

  paintStep(id, [state, count, errors, middle, slow, rate, note, level]) {
    const step = this.steps.get(id);
    if (!step) return;
    if (step.state !== state) {
      step.state = state;
      step.group.setAttribute("data-status", state);
      this.mark(step, state);
    }
    const place = { latency: 3, throughput: 5 }[this.layer]; // the figure that gives the heat
    const heat = place ? { 3: middle, 5: rate }[place] / Math.max(1e-9, ...Object.values(this.known.steps).map(line => line[place])) : 0;
    if (heat !== (step.heat ?? 0)) step.group.style.setProperty("--nbg-heat", `${Math.round(heat * 55)}%`);
    step.heat = heat;
    const figures = { none: "", counts: count ? `${count}${errors ? `, ${errors} failed` : ""}` : "", latency: count ? `${rounded(middle)} / ${milliseconds(slow)}` : "", throughput: rate ? `${rate >= 10 ? Math.round(rate) : rate}/s` : "" };
    const isUrgent = note && ["failed", "waiting", "paused", "changed"].includes(state);
    this.note(step, isUrgent ? note : figures[this.layer] || note, (state === "failed" && note) || (this.layer === "counts" && errors));
    this.gauge(step, level);
    step.figures = [state, count, errors, middle, note];
    step.isHeld = state === "paused";
    this.label(step);
  }

  label(step) {
    const [state, count, errors, middle, note] = step.figures ?? ["idle", 0, 0, 0, ""];
    const words = [state];
    if (count) words.push(milliseconds(middle), `${count} event${count === 1 ? "" : "s"}`);
    if (errors) words.push(`${errors} failed`);
    if (note) words.push(note);
    if (step.breaks) words.push("breakpoint");
    step.group.setAttribute("aria-label", `${step.words}: ${words.join(", ")}`);
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
    const room = Math.max(16, Math.floor((step.box.width + 40) / 5.5));
    step.small.textContent = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    step.small.classList.toggle("nbg-bad", Boolean(isError));
  }

  // How full a queue is: a bar along its lower edge.
  gauge(step, level) {
    if (!level && !step.level) return;
    const { x, y, width, height } = step.box;
    step.level ??= this.overlay.appendChild(shape("rect", { class: "nbg-level", x, y: y + height - 4, height: 4, rx: 2, "aria-hidden": "true" }));
    step.level.setAttribute("width", Math.round(width * level));
    step.level.classList.toggle("nbg-full", level >= 1);
  }

  paintLine(id, count) {
    const line = this.lines.get(id);
    if (!line) return;
    if (!count) {
      line.text?.remove();
      line.text = null;
      return;
    }
    if (!line.text) {
      const { x, y } = pointOn(line.group.querySelector("path"), line.group.querySelector("text") ? 0.82 : 0.5); // words have the middle
      line.text = this.overlay.appendChild(shape("text", { class: "nbg-count", x, y: y + 11, "aria-hidden": "true" }));
      line.group.classList.add("nbg-used");
    }
    line.text.textContent = String(count);
  }

  drag(event) {
    if (!this.svg || event.button !== 0) return;
    const held = event.target.closest("[data-step]");
    if (this.link && held) return this.pull(held.getAttribute("data-step"));
    this.dragged = false;
    this.camera.pan(event, () => { this.dragged = true; });
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
    this.camera.reveal(step.box);
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
      b: () => this.toggle(this.current), p: () => this.act("hold", this.current, !step.isHeld), e: () => this.nextLine(),
      f: () => this.act("fold", this.current, step.type !== "fold"), "+": () => this.camera.zoom(1.25), "=": () => this.camera.zoom(1.25),
      "-": () => this.camera.zoom(0.8), 0: () => this.camera.fit(), Home: () => this.focus(this.steps.keys().next().value),
      End: () => this.focus([...this.steps.keys()].at(-1)),
    };
    const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    if (arrows[event.key] && step) {
      const followed = event.key === along[0] ? step.next : event.key === along[1] ? step.before : [];
      const next = followed.find(id => this.steps.has(id)) ?? nearest(step, this.steps.values(), arrows[event.key]);
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

  // Nothing more is painted of what is known by now.
  rest() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.timer = null;
  }

  close() {
    this.rest();
    this.camera.close();
  }
}
