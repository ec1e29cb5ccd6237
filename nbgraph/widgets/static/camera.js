// Camera: which part of a picture is seen: fit, zoom, pan. A person's own look outlives a new drawing.

/** @import { Box } from "./shapes.js" */
/** @typedef {[x: number, y: number, width: number, height: number]} Look */

export const READABLE = 0.55; // the scale below which names can't be read

export class Camera {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {SVGSVGElement | null} */
    this.svg = null;
    this.size = [100, 100];
    this.origin = [0, 0];
    /** @type {Look} */
    this.look = [0, 0, 100, 100];
    this.width = 0;
    this.isPanning = false;
    this.isMoved = false; // by a person
    root.addEventListener("wheel", event => this.wheel(event), { passive: false });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(root);
  }

  /**
   * Look at another drawing; `steady` gives where a step that both have stood in the old one and stands in the new.
   * @param {SVGSVGElement | null} svg
   * @param {SVGGraphicsElement | null} [drawing]
   * @param {() => number[][] | undefined} [steady]
   */
  turnTo(svg, drawing, steady) {
    const before = this.svg && this.isMoved ? { look: this.look, origin: this.origin } : null;
    this.svg = svg;
    this.size = svg ? [svg.viewBox.baseVal?.width ?? 100, svg.viewBox.baseVal?.height ?? 100] : [100, 100];
    const moved = drawing?.transform.baseVal.consolidate()?.matrix;
    this.origin = moved ? [moved.e, moved.f] : [0, 0];
    if (!svg) return;
    this.fit(READABLE);
    const points = before && steady?.();
    if (!points) return;
    const [old, now] = points;
    const by = [0, 1].map(axis => now[axis] + this.origin[axis] - old[axis] - before.origin[axis]);
    this.look = [
      before.look[0] + by[0],
      before.look[1] + by[1],
      before.look[2],
      this.look[3] * (before.look[2] / this.look[2]),
    ];
    this.isMoved = true;
    this.apply();
  }

  // The whole picture in the room there is; `least` keeps a very long one readable, from its beginning.
  fit(least = 0) {
    if (!this.svg) return;
    const [width, height] = this.size;
    const room = this.root.clientWidth || 800;
    const scale = Math.max(least, Math.min(1.25, room / width));
    this.root.style.minHeight = `${Math.round(Math.min(560, Math.max(96, height * scale + 20)))}px`;
    const space = [room / scale, Math.max(height, (this.root.clientHeight || height) / scale)];
    this.look = [width > space[0] ? 0 : (width - space[0]) / 2, (height - space[1]) / 2, space[0], space[1]];
    this.isMoved = false;
    this.apply();
  }

  resized() {
    if (!this.svg || this.root.clientWidth === this.width) return;
    this.width = this.root.clientWidth;
    this.fit(READABLE);
  }

  apply() {
    this.svg?.setAttribute("viewBox", this.look.map(number => number.toFixed(2)).join(" "));
  }

  /**
   * Zoom round a point of the picture that stays where it is; without one round the middle.
   * @param {number} factor
   * @param {number[] | null} at
   */
  zoom(factor, at = null) {
    const [x, y, width, height] = this.look;
    const wide = Math.min(this.size[0] * 4, Math.max(60, width / factor));
    const ratio = wide / width;
    const [px, py] = at ?? [x + width / 2, y + height / 2];
    this.look = [px - (px - x) * ratio, py - (py - y) * ratio, wide, height * ratio];
    this.isMoved = true;
    this.apply();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!this.svg || !(event.ctrlKey || event.metaKey)) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM()?.inverse());
    this.zoom(Math.exp(-event.deltaY / 300), [spot.x, spot.y]);
  }

  /**
   * Pan from here as the pointer goes; `moved` is told when it is a drag and no click.
   * @param {PointerEvent} event
   * @param {() => void} moved
   */
  pan(event, moved) {
    const from = [event.clientX, event.clientY];
    const look = [...this.look];
    const scale = look[2] / this.root.clientWidth;
    const move = (/** @type {PointerEvent} */ next) => {
      const by = [next.clientX - from[0], next.clientY - from[1]];
      if (!this.isPanning && Math.hypot(...by) < 4) return;
      this.isPanning = this.isMoved = true;
      moved();
      this.look = [look[0] - by[0] * scale, look[1] - by[1] * scale, look[2], look[3]];
      this.apply();
    };
    const end = () => {
      this.isPanning = false;
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  /**
   * Bring a box into sight without changing the scale.
   * @param {Box} box
   */
  reveal(box) {
    const [x, y, width, height] = this.look;
    const middle = [box.x + box.width / 2 + this.origin[0], box.y + box.height / 2 + this.origin[1]];
    if (middle[0] < x || middle[0] > x + width) this.look[0] = middle[0] - width / 2;
    if (middle[1] < y || middle[1] > y + height) this.look[1] = middle[1] - height / 2;
    this.apply();
  }

  close() {
    this.observer.disconnect();
  }
}
