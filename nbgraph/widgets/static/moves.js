// Moves: the buttons that move a debugged run.
import { button } from "./bar.js";
import { element } from "./values.js";

/** @import { DebugState, Request, Move } from "./protocol.js" */
/** @typedef {DebugState & { isBusy: boolean }} Standing how a run stands; `isBusy` while a move is under way */
/** @typedef {(what: Move, more?: { step?: string, route?: string, text?: string, index?: number }) => void} DoMove */

/** @type {[what: Move, text: string, label: string, needs: "rest" | "frames"][]} */
const MOVES = [
  ["start", "|◀", "Back to the start", "frames"],
  ["back", "◀ Back", "Undo the last move  [", "frames"],
  ["next", "Next ▶", "Run the next step  ]", "rest"],
  ["over", "Over", "Run the next step; an inner graph or a router as one  F10", "rest"],
  [
    "into",
    "Into",
    "Into a router: stand before each of its routes; into an inner graph: run its next step  F11",
    "rest",
  ],
  ["out", "Out", "Run to the end of this router or inner graph  Shift+F11", "rest"],
  ["continue", "Continue", "Run to the next breakpoint  F8", "rest"],
  ["run_to", "Run to step", "Run until it stands before the step that is chosen in the picture", "rest"],
  ["rerun", "Rerun step", "Run the chosen step again as it is coded now, on the input that was recorded", "frames"],
];

/**
 * @param {() => string} selected gives the step that the focus is on
 * @param {DoMove} move
 * @param {(wish: Request) => void} send
 */
export function movesBar(selected, move, send) {
  const buttons = MOVES.map(([what, text, label]) => {
    const act = () => move(what, what === "run_to" || what === "rerun" ? { step: selected() } : {});
    return button(text, label, act, what === "continue" ? { class: "nbg-main-act" } : {});
  });
  const resume = MOVES.findIndex(([what]) => what === "continue");
  const pause = button("Pause", "Stop before the next step  F8", () => send({ kind: "pause" }), { hidden: true });
  const stop = button("Stop", "End the step that runs, and stand before it again; at rest: end the session", () =>
    send({ kind: "stop" }),
  );
  const silence = () => send({ kind: "mute", on: mute.checked });
  /** @type {HTMLInputElement} */
  const mute = element("input", { type: "checkbox", onchange: silence });
  /** @param {Standing} now */
  const update = now => {
    const isOver = now.isBusy || now.stopped;
    const can = { rest: !isOver && !now.finished, frames: !isOver && (now.frames.length > 0 || now.current?.route) };
    for (const [index, [, , , needs]] of MOVES.entries()) block(buttons[index], !can[needs]);
    block(stop, now.stopped);
    pause.hidden = !now.isBusy;
    buttons[resume].hidden = now.isBusy;
  };
  const muted = element("label", { class: "nbg-mute" }, mute, " mute breakpoints");
  const root = element("div", { class: "nbg-bar", role: "group", "aria-label": "Run" });
  root.append(...buttons.slice(0, resume + 1), pause, ...buttons.slice(resume + 1), stop, muted);
  return { root, update };
}

/**
 * A blocked button keeps the focus, which a disabled one would lose in the middle of stepping by keyboard.
 * @param {HTMLElement} one
 * @param {boolean} isBlocked
 */
export function block(one, isBlocked) {
  one.setAttribute("aria-disabled", String(isBlocked));
}
