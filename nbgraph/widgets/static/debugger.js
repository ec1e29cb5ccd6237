// The view of a debugged run: moves, a slider over what happened, edits, forks, pins, breakpoints. The kernel decides.
import { button, download, foldButton, pictureBar } from "./bar.js";
import { serveShown } from "./child.js";
import { fillPanel, wholeView } from "./panel.js";
import { Stage } from "./stage.js";
import { followTheme } from "./theme.js";
import { element, servePages, valueView } from "./values.js";

const TABS = ["input", "output", "routes", "diff", "error", "code", "timing", "break"];

function render({ model, el }) {
  let now = { frames: [], branches: [], breakpoints: {}, pins: [], watches: [] };
  let seen = null; // the frame that the panel shows
  let tab = "input";
  let branch = null;
  const typed = new Map(); // conditions of breakpoints, by step
  const send = (kind, more = {}) => model.send({ kind, ...more });
  const move = (what, more = {}) => send("do", { what, ...more });
  const stage = new Stage((kind, step, on) => kind !== "line" && send(kind, { step, on }));
  const spoken = element("div", { class: "nbg-spoken", role: "status", "aria-live": "polite" });
  const panel = element("section", { class: "nbg-panel", hidden: true, "aria-label": "Step" });
  const standing = element("span", { class: "nbg-standing" });
  const problem = element("p", { class: "nbg-problem nbg-bad", role: "alert", hidden: true });
  const slider = element("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Time: frames of the run",
    oninput: () => look(Number(slider.value)) });
  const clock = element("output", { class: "nbg-clock" });
  const forks = element("select", { "aria-label": "Line of the run", hidden: true, onchange: () => {
    branch = forks.value === "main" ? null : Number(forks.value);
    draft();
    look(Number(slider.value));
  } });
  const backHere = button("Go back to here", "Undo the run back to this frame", () => move("to", { index: Number(slider.value) }));
  const watches = element("div", { class: "nbg-watches" });
  const moves = movesBar(() => stage.current, move, send);
  const bar = pictureBar(model, stage, spoken, foldButton(model));
  const root = element("div", { class: "nbg-root nbgraph nbg-debugger" }, moves.bar, problem,
    element("div", { class: "nbg-bar nbg-time" }, slider, clock, forks, backHere, standing),
    bar, element("div", { class: "nbg-main" }, stage.root, stage.table.root, panel), watches, spoken);

  // Frame `index` of the chosen line; the one after the last is the step that runs next.
  const look = index => {
    if (branch === null && index >= now.frames.length) {
      if (now.current) show({ ...now.current, step: now.at });
      else if (now.frames.length) send("frame", { index: now.frames.length - 1 + now.skipped });
    } else send("frame", { index: index + (branch === null ? now.skipped : 0), branch });
    draft(index);
  };
  const show = message => {
    seen = message;
    fillPanel(panel, message, { tabs: TABS, chosen: tab, choose: name => { tab = name; show(seen); }, pages: {
      input: inputView, output: outputView, break: breakpointView,
    } });
    for (const step of stage.steps.values()) step.group.classList.toggle("nbg-seen", step.id === message.step);
  };
  const draft = (index = Number(slider.value)) => {
    const count = branch === null ? now.frames.length : now.branches[branch].frames;
    slider.max = String(Math.max(0, count - (branch === null && now.current ? 0 : 1)));
    slider.value = String(Math.min(index, Number(slider.max)));
    const frame = branch === null ? now.frames[Number(slider.value)] : null;
    const at = Number(slider.value);
    clock.textContent = branch === null && at >= count ? `next, after ${count} frame${count === 1 ? "" : "s"}` : `frame ${at + 1} of ${count}`;
    slider.setAttribute("aria-valuetext", frame ? `${clock.textContent}, ${frame[1]}` : clock.textContent);
    block(backHere, branch !== null || at >= now.frames.length || now.busy);
  };

  const receive = message => {
    if (message.kind === "status") stage.show(message);
    else if (message.kind === "frame") show(message);
    else if (message.kind === "saved") download(message);
    else if (message.kind === "problem") {
      problem.hidden = false;
      problem.textContent = message.text;
    }
    else if (message.kind === "debug") {
      const before = now;
      now = message.busy ? { ...now, busy: true } : message;
      moves.update(now);
      problem.hidden = !now.problem;
      problem.textContent = now.problem ?? "";
      root.classList.toggle("nbg-busy", Boolean(now.busy));
      if (!message.busy) stand(before);
    }
  };
  const stand = before => {
    branch = null;
    forks.hidden = !now.branches.length;
    forks.replaceChildren(element("option", { value: "main" }, "this line"), ...now.branches.map((fork, index) =>
      element("option", { value: String(index) }, `fork ${index + 1}: left at ${fork.step}, ${fork.frames} frames`)));
    const name = stage.steps.get(now.at)?.name;
    const place = now.current?.route ? `${now.current.route} in ${name}` : name;
    const words = now.stopped ? "stopped" : now.error ? now.error : now.finished ? "finished"
      : now.current.index === null && !now.current.error && now.current.output === null ? `stands before ${place}, visit ${now.current.visit}` : `stands after ${place}, visit ${now.current.visit}`;
    standing.textContent = words;
    standing.classList.toggle("nbg-bad", Boolean(now.error));
    spoken.textContent = words;
    const last = now.frames.at(-1);
    if (now.frames.length > before.frames.length && (now.finished || now.current?.error)) {
      tab = now.error || now.current?.error ? "error" : "output";
      draft(now.frames.length);
      send("frame", { index: now.frames.length - 1 + now.skipped });
    } else {
      if (tab === "output" || tab === "error") tab = "input";
      draft(now.frames.length);
      look(now.frames.length);
    }
    const at = stage.steps.get(now.at || last?.[0]);
    if (at) stage.camera.reveal(at.box);
    for (const step of stage.steps.values()) step.group.classList.toggle("nbg-at", step.id === now.at);
    stage.markRoute(now.at, now.current?.route);
    watches.replaceChildren(...watchView(now.watches, texts => send("watch", { texts })));
  };

  // --- pages of the panel ---

  const inputView = message => {
    const parts = [wholeView(message, "input")];
    if (message.index === null && !message.route && !now.finished && !now.busy && message.step === now.at) {
      parts.push(editor("Change the input and go on from here", message.text, "Python; event is the value as it is", text => move("input", { text })));
    }
    return element("div", {}, ...parts);
  };
  const outputView = message => {
    const isPinned = now.pins.includes(message.route ? `${message.step}/${message.route}` : message.step);
    const parts = [message.output || !message.error ? wholeView(message, "output") : element("p", { class: "nbg-none" }, "none: the step failed")];
    const pin = text => move("pin", { step: message.step, route: message.route, text });
    parts.push(element("p", { class: "nbg-acts" },
      message.index !== null && message.output ? button("Pin this output", "The step gives this value from now on, without running", () => pin("")) : null,
      isPinned ? button("Unpin", "Let the step run again", () => move("unpin", { step: message.step, route: message.route })) : null));
    if (message.index !== null && message.index === now.frames.length + now.skipped - 1) {
      parts.push(editor("Change the output and go on from here", message.gave, "Python; event is the output as it is", text => move("output", { text })));
    }
    parts.push(editor("Pin another value", "", "Python; event is the last output", pin));
    return element("div", {}, ...parts);
  };
  const breakpointView = message => {
    const key = message.route ? `${message.step}/${message.route}` : message.step;
    const found = now.breakpoints[key];
    const when = element("input", { type: "text", value: found?.when ?? typed.get(key) ?? "", placeholder: "event[\"p\"] > 0.9", "aria-label": "Condition" });
    const hits = element("input", { type: "number", min: "1", value: String(found?.hits ?? 1), "aria-label": "Stop at every n-th time" });
    const at = element("select", { "aria-label": "When to look" }, ...["before", "after", "error"].map(name =>
      element("option", { value: name, selected: name === found?.on }, name === "error" ? "on its error" : `${name} it runs`)));
    for (const field of [when, hits]) field.addEventListener("keydown", event => event.stopPropagation());
    when.addEventListener("input", () => typed.set(key, when.value)); // what the kernel refuses is there to be mended
    const set = () => send("break", { step: message.step, route: message.route, on: true, when: when.value, hits: hits.value, at: at.value });
    return element("div", { class: "nbg-form" },
      element("label", {}, "Stop ", at), element("label", {}, "where ", when), element("label", {}, "every n-th time: ", hits),
      element("p", { class: "nbg-acts" }, button(found ? "Change" : "Set", "Set the breakpoint", set),
        found ? button("Clear", "Clear the breakpoint", () => send("break", { step: message.step, route: message.route, on: false })) : null),
      found ? element("p", { class: "nbg-hint" }, `The condition held ${found.seen} times so far.`) : null);
  };

  const breakpoints = () => stage.setBreakpoints(model.get("breakpoints"));
  const draw = () => {
    stage.draw(model.get("picture"), model.get("direction"));
    breakpoints();
    send("hello");
  };
  // Keys of debuggers, only while the view has the focus.
  root.addEventListener("keydown", event => {
    const keys = { F8: () => (now.busy ? send("pause") : move("continue")), F10: () => move("over"), F11: () => move(event.shiftKey ? "out" : "into"),
      "[": () => move("back"), "]": () => move("next") };
    if (!keys[event.key] || (event.target.matches("input, textarea") && event.key.length === 1)) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  model.on("change:picture", draw);
  model.on("change:breakpoints", breakpoints);
  model.on("msg:custom", receive);
  const unfollow = followTheme(root);
  const unserve = servePages(model, root);
  const unshow = serveShown(model, root);
  el.append(root);
  send("opened");
  draw();
  return () => {
    model.off("change:picture", draw);
    model.off("change:breakpoints", breakpoints);
    model.off("msg:custom", receive);
    unfollow();
    unserve();
    unshow();
    stage.close();
    send("left");
  };
}

// The buttons that move the run; `selected` gives the step that the focus is on.
function movesBar(selected, move, send) {
  const start = button("|◀", "Back to the start", () => move("start"));
  const back = button("◀ Back", "Undo the last move  [", () => move("back"));
  const next = button("Next ▶", "Run the next step  ]", () => move("next"));
  const over = button("Over", "Run the next step; an inner graph or a router as one  F10", () => move("over"));
  const into = button("Into", "Into a router: stand before each of its routes; into an inner graph: run its next step  F11", () => move("into"));
  const out = button("Out", "Run to the end of this router or inner graph  Shift+F11", () => move("out"));
  const resume = button("Continue", "Run to the next breakpoint  F8", () => move("continue"), { class: "nbg-main-act" });
  const pause = button("Pause", "Stop before the next step  F8", () => send("pause"), { hidden: true });
  const to = button("Run to step", "Run until it stands before the step that is chosen in the picture", () => move("run_to", { step: selected() }));
  const again = button("Rerun step", "Run the chosen step again as it is coded now, on the input that was recorded", () => move("rerun", { step: selected() }));
  const stop = button("Stop", "End the session", () => send("stop"));
  const mute = element("input", { type: "checkbox", onchange: event => send("mute", { on: event.target.checked }) });
  const forward = [next, over, into, out, resume, to];
  const update = now => {
    for (const one of forward) block(one, now.busy || now.stopped || now.finished);
    for (const one of [start, back, again]) block(one, now.busy || now.stopped || !(now.frames.length || now.current?.route));
    block(stop, now.stopped);
    pause.hidden = !now.busy;
    resume.hidden = Boolean(now.busy);
  };
  const bar = element("div", { class: "nbg-bar", role: "group", "aria-label": "Run" }, start, back, next, over, into, out, resume, pause, to, again, stop,
    element("label", { class: "nbg-mute" }, mute, " mute breakpoints"));
  return { bar, update };
}

// A blocked button keeps the focus, which a disabled one would lose in the middle of stepping by keyboard.
function block(one, isBlocked) {
  one.setAttribute("aria-disabled", String(Boolean(isBlocked)));
}

// A text field with a button that hands the text on.
function editor(label, text, hint, done) {
  const area = element("textarea", { rows: "3", "aria-label": label, spellcheck: "false", placeholder: hint });
  area.value = text;
  area.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      done(area.value);
    }
  });
  return element("details", { class: "nbg-editor" }, element("summary", {}, label), area,
    element("p", { class: "nbg-acts" }, button("Apply", `${label} (Shift+Enter)`, () => done(area.value))));
}

// Expressions that are worked out anew wherever the run stands.
function watchView(watches, send) {
  const texts = watches.map(([text]) => text);
  const field = element("input", { type: "text", placeholder: "watch an expression, such as event[\"p\"]", "aria-label": "Watch an expression" });
  field.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter" && field.value.trim()) send([...texts, field.value.trim()]);
  });
  return [...watches.map(([text, value], index) => element("div", { class: "nbg-watch" }, element("code", {}, text), valueView(value, false),
    button("×", `Stop watching ${text}`, () => send(texts.filter((_, other) => other !== index))))), field];
}

export default { render };
