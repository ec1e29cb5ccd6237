// Dock: where a panel lies, below the picture or beside it, and how large it is; all the room on request.
import { button } from "./bar.js";
import { element } from "./values.js";

/** @typedef {{ isBelow: boolean, width: number, height: number }} Docked */

const REMEMBERED = "nbgraph-dock";
const [LEAST, MOST, STEP] = [180, 1200, 24]; // pixels

/**
 * What was set last in this browser; one that keeps nothing keeps nothing.
 * @param {Docked} docked
 * @returns {Docked}
 */
function remembered(docked) {
  try {
    return { ...docked, ...JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") };
  } catch {
    return docked;
  }
}

export class Dock {
  /**
   * @param {HTMLElement} main holds the picture and, as its last, the panel
   * @param {HTMLElement} panel
   * @param {boolean} isBelow
   */
  constructor(main, panel, isBelow) {
    this.main = main;
    this.panel = panel;
    this.docked = remembered({ isBelow, width: 380, height: 320 });
    const is = { class: "nbg-divider", role: "slider", tabindex: "0", "aria-label": "Size of the panel" };
    this.divider = element("div", { ...is, "aria-valuemin": LEAST, "aria-valuemax": MOST });
    panel.before(this.divider);
    const turn = () => this.set({ isBelow: !this.docked.isBelow });
    this.turn = button("◧", "Panel below the picture or beside it", turn);
    this.whole = button("⤢", "Give the panel all the room  m", () => this.maximise(), { "aria-pressed": "false" });
    this.buttons = [this.turn, this.whole];
    this.divider.addEventListener("pointerdown", event => this.drag(event));
    this.divider.addEventListener("keydown", event => this.key(event));
    this.apply();
  }

  /** @param {Partial<Docked>} more */
  set(more) {
    Object.assign(this.docked, more);
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(this.docked));
    } catch {
      // it is set all the same, for this page
    }
    this.apply();
  }

  apply() {
    const { isBelow, width, height } = this.docked;
    this.main.classList.toggle("nbg-docked-below", isBelow);
    this.main.style.setProperty("--nbg-panel-size", `${isBelow ? height : width}px`);
    this.divider.setAttribute("aria-orientation", isBelow ? "horizontal" : "vertical");
    this.divider.setAttribute("aria-valuenow", String(isBelow ? height : width));
  }

  maximise() {
    const isWhole = this.main.classList.toggle("nbg-maximised");
    this.whole.setAttribute("aria-pressed", String(isWhole));
    /** @type {HTMLElement | null} */
    const sheet = this.panel.querySelector(".nbg-sheet");
    if (isWhole) sheet?.focus(); // what had the focus may be hidden, and keys would go nowhere
  }

  /**
   * The key of the whole view.
   * @param {KeyboardEvent} event
   */
  press(event) {
    const isTyped = event.target instanceof Element && event.target.matches("input, textarea, select");
    if (event.key === "m" && !isTyped && !this.panel.hidden) this.maximise();
  }

  /** @param {number} size */
  resize(size) {
    const { isBelow } = this.docked;
    const most = isBelow ? MOST : this.main.clientWidth - LEAST;
    const kept = Math.round(Math.max(LEAST, Math.min(most, size)));
    this.set(isBelow ? { height: kept } : { width: kept });
  }

  /** @param {PointerEvent} event */
  drag(event) {
    event.preventDefault();
    const { width, height } = this.panel.getBoundingClientRect();
    const [x, y] = [event.clientX, event.clientY];
    const move = (/** @type {PointerEvent} */ to) =>
      this.resize(this.docked.isBelow ? height + to.clientY - y : width + x - to.clientX);
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { isBelow, width, height } = this.docked;
    const by = { ArrowLeft: STEP, ArrowUp: -STEP, ArrowRight: -STEP, ArrowDown: STEP }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.resize((isBelow ? height : width) + by);
  }
}
