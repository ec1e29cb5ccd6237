// The view of a debugged run: moves, a slider over what happened, edits, forks, pins, breakpoints. The kernel decides.
import { PICTURE_KEYS, alertView, button, download, foldButton, keyList, pictureBar } from "./bar.js";
import { serveShown } from "./child.js";
import { Dock } from "./dock.js";
import { breakpointForm, editor, watchView } from "./forms.js";
import { join, linked } from "./link.js";
import { block, movesBar } from "./moves.js";
import { fillPanel, noneView, wholeView } from "./panel.js";
import { Stage, wishOf } from "./stage.js";
import { element } from "./values.js";

/** @import { DebugBusy, DebugState, LongCall, Model, FrameDetail, Move, Place, Message } from "./protocol.js" */
/** @import { BreakpointForm } from "./forms.js" */
/** @import { DoMove, Standing } from "./moves.js" */
/** @import { Act } from "./stage.js" */
/** @typedef {FrameDetail & { step: string, branch?: number | null }} Seen a frame in the panel */

const PAGES = ["in and out", "routes", "diff", "printed", "error", "code", "timing", "break"];
/** @type {[key: string, does: string][]} */
const KEYS = [
  ["F8", "continue, or pause"],
  ["F10", "run the next step as one"],
  ["F11, Shift+F11", "into, out of routers and graphs"],
  ["]", "run the next step"],
  ["[", "undo the last move"],
  ...PICTURE_KEYS,
];
/** @type {Standing} */
const NOWHERE = {
  ...{ kind: "debug", busy: false, isBusy: false, stopped: false, finished: false, at: "", current: null, skipped: 0 },
  ...{ frames: [], branches: [], breakpoints: {}, pins: [], watches: [], error: "", problem: "" },
  answer: { kind: "none", text: "" },
};

class DebuggerView {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.now = NOWHERE;
    /** @type {Seen | null} */
    this.seen = null; // the frame that the panel shows
    this.tab = "in and out";
    this.isPast = false; // the picture is that of a frame before
    /** @type {number | null} */
    this.branch = null;
    /** @type {Map<string, string>} */
    this.typed = new Map(); // conditions of breakpoints, by step
    /** @type {Move | null} */
    this.asked = null; // the last move that was asked for
    /** @type {DoMove} */
    this.move = (what, more = {}) => {
      this.asked = what;
      model.send({ kind: "do", what, ...more });
    };
    this.stage = new Stage((kind, id, on) => this.act(kind, id, on));
    this.spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
    this.panel = element("section", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
    this.problem = alertView();
    this.watches = element("div", { class: "nbg-watches" });
    const range = { type: "range", min: "0", max: "0", value: "0", "aria-label": "Time: frames of the run" };
    this.slider = element("input", range);
    this.clock = element("output", { class: "nbg-clock" });
    this.forks = element("select", { "aria-label": "Line of the run", hidden: true });
    this.standing = element("span", { class: "nbg-standing" });
    const back = () => this.move("to", { index: this.time() });
    this.backHere = button("Go back to here", "Undo the run back to this frame", back);
    this.moves = movesBar(
      () => this.stage.current,
      this.move,
      wish => model.send(wish),
    );
    this.root = element("div", { class: "nbg-root nbgraph nbg-debugger" });
    this.main = element("div", { class: "nbg-main" }, this.panel);
    this.layOut();
  }

  layOut() {
    const { main, model, root, stage } = this;
    const dock = new Dock(main, this.panel, true);
    const keys = keyList(root, KEYS);
    const bar = pictureBar(model, stage, this.spoken, foldButton(model), ...dock.buttons, keys.button);
    main.prepend(stage.root, stage.table?.root ?? "");
    root.append(this.moves.root, this.problem, this.timeBar(), bar, keys.list, main, this.watches, this.spoken);
    root.addEventListener("keydown", event => {
      dock.press(event);
      this.key(event);
    });
  }

  timeBar() {
    this.slider.addEventListener("input", () => this.look(this.time()));
    this.forks.addEventListener("change", () => this.turnToLine());
    const parts = [this.slider, this.clock, this.forks, this.backHere, this.standing];
    return element("div", { class: "nbg-bar nbg-time" }, ...parts);
  }

  time() {
    return Number(this.slider.value);
  }

  turnToLine() {
    this.branch = this.forks.value === "main" ? null : Number(this.forks.value);
    this.setTime();
    this.look(this.time());
  }

  /**
   * @param {Act} kind
   * @param {string} id
   * @param {boolean} on
   */
  act(kind, id, on) {
    if (kind !== "line") this.model.send(wishOf(kind, id, on));
  }

  /**
   * Keys of debuggers, only while the view has the focus.
   * @param {KeyboardEvent} event
   */
  key(event) {
    /** @type {Record<string, () => void>} */
    const keys = {
      F8: () => (this.now.isBusy ? this.model.send({ kind: "pause" }) : this.move("continue")),
      F10: () => this.move("over"),
      F11: () => this.move(event.shiftKey ? "out" : "into"),
      "[": () => this.move("back"),
      "]": () => this.move("next"),
    };
    const isTyped =
      event.target instanceof Element && event.target.matches("input, textarea") && event.key.length === 1;
    if (!keys[event.key] || isTyped) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  draw() {
    this.stage.draw(this.model.get("picture"), this.model.get("direction"));
    this.mark();
    this.markPlace();
    this.model.send({ kind: "hello" });
  }

  // Breakpoints, and the steps that can't run.
  mark() {
    this.stage.setBreakpoints(this.model.get("breakpoints"));
    this.stage.setFaults(this.model.get("faults"));
  }

  /** @param {Message} message */
  receive(message) {
    if (message.kind === "status") this.stage.show(message);
    else if (message.kind === "frame") this.show(message);
    else if (message.kind === "saved") download(message);
    else if (message.kind === "problem") this.problem.say(message.text);
    else if (message.kind === "debug") this.stand(message);
  }

  /**
   * The run goes, or stands somewhere: where it has not moved, the panel stays as it is, with all that was typed in it.
   * @param {DebugState | DebugBusy} message
   */
  stand(message) {
    const before = this.now;
    this.now = message.busy ? { ...before, isBusy: true } : { ...message, isBusy: false };
    this.moves.update(this.now);
    this.problem.say(message.busy ? "" : message.problem);
    this.root.classList.toggle("nbg-busy", message.busy);
    if (message.busy) {
      if (message.running) this.standing.textContent = runningWords(message.running);
      return;
    }
    this.watches.replaceChildren(...watchView(message.watches, texts => this.model.send({ kind: "watch", texts })));
    const isMoved = before.isBusy && !message.problem && this.asked !== "pin" && this.asked !== "unpin";
    if (before.isBusy)
      this.standing.textContent = standingWords(this.now, this.stage.steps.get(this.now.at)?.name ?? "");
    if (isMoved || placeOf(before) !== placeOf(message)) this.arrive(before);
    else if (marksOf(before) !== marksOf(message) && this.seen) this.show(this.seen);
  }

  /** @param {Standing} before */
  arrive(before) {
    const { now, stage } = this;
    this.branch = null;
    this.listForks();
    const words = standingWords(now, stage.steps.get(now.at)?.name ?? "");
    this.standing.textContent = words;
    this.standing.classList.toggle("nbg-bad", Boolean(now.error));
    this.spoken.textContent = words;
    const isEnd = now.finished || Boolean(now.current?.error);
    if (now.frames.length > before.frames.length && isEnd) {
      this.tab = now.error || now.current?.error ? "error" : "in and out";
      this.setTime(now.frames.length);
      this.model.send({ kind: "frame", index: now.frames.length - 1 + now.skipped });
    } else {
      if (this.tab === "error") this.tab = "in and out";
      this.look(now.frames.length);
    }
    const [last] = now.frames.at(-1) ?? [];
    const at = stage.steps.get(now.at || last || "");
    if (at) stage.camera.reveal(at.box);
    this.markPlace();
  }

  // The step, and the route in it, that the run stands before.
  markPlace() {
    const { at, current } = this.now;
    for (const step of this.stage.steps.values()) step.group.classList.toggle("nbg-at", step.id === at);
    this.stage.markRoute(at, current?.route);
  }

  listForks() {
    const { branches } = this.now;
    const forks = branches.map(({ step, frames }, index) =>
      element("option", { value: String(index) }, `fork ${index + 1} from ${step}, ${frames} frames`),
    );
    this.forks.hidden = !branches.length;
    this.forks.replaceChildren(element("option", { value: "main" }, "main"), ...forks);
  }

  /**
   * Frame `index` of the chosen line; the one after the last is the step that runs next.
   * @param {number} index
   */
  look(index) {
    const { now, branch } = this;
    const last = now.frames.length - 1;
    const isPast = branch !== null || index < last || (index === last && Boolean(now.current));
    if (this.isPast && !isPast) this.model.send({ kind: "hello" }); // the picture as it is now
    this.isPast = isPast;
    this.main.classList.toggle("nbg-past", isPast);
    if (branch !== null) this.model.send({ kind: "frame", index, branch });
    else if (index <= last) this.model.send({ kind: "frame", index: index + now.skipped, branch });
    else if (now.current) this.show({ ...now.current, step: now.at });
    else if (last >= 0) this.model.send({ kind: "frame", index: last + now.skipped });
    this.setTime(index);
  }

  /** @param {Seen} message */
  show(message) {
    this.seen = message;
    const choose = (/** @type {string} */ name) => {
      this.tab = name;
      this.show(message);
    };
    const pages = {
      "in and out": (/** @type {Seen} */ seen) => this.sidesView(seen),
      break: (/** @type {Seen} */ seen) => this.breakpointView(seen),
    };
    fillPanel(this.panel, message, { tabs: PAGES, chosen: this.tab, choose, pages });
    for (const step of this.stage.steps.values()) step.group.classList.toggle("nbg-seen", step.id === message.step);
  }

  /** The slider and the words beside it. */
  setTime(index = this.time()) {
    const { now, branch, slider, clock, backHere } = this;
    const isMain = branch === null;
    const count = isMain ? now.frames.length : now.branches[branch].frames;
    slider.max = String(Math.max(0, count - (isMain && now.current ? 0 : 1)));
    slider.value = String(Math.min(index, Number(slider.max)));
    const at = this.time();
    const isNext = isMain && at >= count;
    const words = isNext ? `next, after ${count} frame${count === 1 ? "" : "s"}` : `frame ${at + 1} of ${count}`;
    clock.textContent = words;
    const [, name] = (isMain && now.frames[at]) || [];
    slider.setAttribute("aria-valuetext", name === undefined ? words : `${words}, ${name}`);
    block(backHere, !isMain || at >= now.frames.length || now.isBusy);
  }

  /** @param {Seen} seen */
  sidesView(seen) {
    const sides = /** @type {[string, HTMLElement][]} */ ([
      ["in", this.inputView(seen)],
      ["out", this.outputView(seen)],
    ]).map(([name, view]) => element("section", {}, element("h4", {}, name), view));
    return element("div", { class: "nbg-sides" }, ...sides);
  }

  /** @param {Seen} seen */
  inputView(seen) {
    const { now } = this;
    /** @type {HTMLElement[]} */
    const parts = [wholeView(seen, "input")];
    const isNext = seen.index === null && !seen.route && seen.step === now.at && !now.finished && !now.isBusy;
    if (isNext) {
      const [label, hint] = ["Change the input and go on from here", "Python; event is the value as it is"];
      parts.push(editor(label, seen.text, hint, text => this.move("input", { text })));
    }
    return element("div", {}, ...parts);
  }

  /** @param {Seen} seen */
  outputView(seen) {
    const { now } = this;
    const { step, route } = seen;
    const pin = (/** @type {string} */ text) => this.move("pin", { step, route, text });
    const acts = element("p", { class: "nbg-acts" });
    if (seen.index !== null && seen.output) {
      const label = "The step gives this value from now on, without running";
      acts.append(button("Pin this output", label, () => pin("")));
    }
    if (now.pins.includes(keyOf(seen))) {
      acts.append(button("Unpin", "Let the step run again", () => this.move("unpin", { step, route })));
    }
    /** @type {HTMLElement[]} */
    const parts = [seen.output || !seen.error ? wholeView(seen, "output") : noneView(), acts];
    if (seen.index !== null && seen.index === now.frames.length + now.skipped - 1) {
      const [label, hint] = ["Change the output and go on from here", "Python; event is the output as it is"];
      parts.push(editor(label, seen.gave, hint, text => this.move("output", { text })));
    }
    parts.push(editor("Pin another value", "", "Python; event is the last output", pin));
    return element("div", {}, ...parts);
  }

  /** @param {Seen} seen */
  breakpointView(seen) {
    const { step, route } = seen;
    const set = (/** @type {BreakpointForm} */ form) => this.model.send({ kind: "break", step, route, ...form });
    const key = keyOf(seen);
    const keep = (/** @type {string} */ text) => this.typed.set(key, text);
    return breakpointForm(this.now.breakpoints[key], this.typed.get(key) ?? "", keep, set);
  }
}

/** @param {Seen} seen */
function keyOf({ step, route }) {
  return route ? `${step}/${route}` : step;
}

/**
 * Where a run stands: equal texts, equal places.
 * @param {DebugState} standing
 */
function placeOf({ at, current, frames, skipped, branches, finished, stopped, error, answer }) {
  return JSON.stringify([at, current, frames, skipped, branches, finished, stopped, error, answer]);
}

/**
 * What a person has put on steps.
 * @param {DebugState} standing
 */
function marksOf({ breakpoints, pins }) {
  return JSON.stringify([breakpoints, pins]);
}

/** @param {LongCall} running */
function runningWords({ step, seconds, line }) {
  return `${step} has been running for ${seconds} s${line ? `, at ${line}` : ""}`;
}

/**
 * @param {DebugState} now
 * @param {string} name
 */
function standingWords({ current, stopped, finished, error }, name) {
  if (stopped) return "stopped";
  if (error) return error;
  if (finished || !current) return "finished";
  const place = current.route ? `${current.route} in ${name}` : name;
  const isBefore = current.index === null && !current.error && current.output === null;
  return `paused ${isBefore ? "at" : "after"} ${place}${current.visit > 1 ? `, visit ${current.visit}` : ""}`;
}

/** @param {Place} place */
function render({ model, el }) {
  const link = linked(model);
  const view = new DebuggerView(link);
  const mark = () => view.mark();
  const unjoin = join(link, el, view.root, {
    "change:picture": () => view.draw(),
    "change:breakpoints": mark,
    "change:faults": mark,
    "msg:custom": message => view.receive(message),
  });
  const unshow = serveShown(link, view.root);
  view.draw();
  return () => {
    unshow();
    view.stage.close();
    unjoin();
  };
}

export default { render };
