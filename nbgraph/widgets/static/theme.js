// Theme: dark and light with the front end.
import { element } from "./values.js";

/**
 * Dark where the front end is dark: its colours are asked, since every front end names its themes otherwise.
 * @param {HTMLElement} root
 */
export function followTheme(root) {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const look = () => {
    const style = getComputedStyle(root);
    const grounds = ["--jp-layout-color1", "--vscode-editor-background"];
    const named = grounds.map(name => style.getPropertyValue(name).trim()).find(Boolean);
    const light = named ? luminance(named, root) > 0.5 : !query.matches;
    root.classList.toggle("nbg-dark", !light);
    root.classList.toggle("nbg-light", light);
  };
  const observer = new MutationObserver(() => requestAnimationFrame(look));
  const attributeFilter = ["class", "style", "data-jp-theme-light", "data-theme"];
  for (const part of [document.documentElement, document.body]) {
    observer.observe(part, { attributes: true, attributeFilter });
  }
  query.addEventListener("change", look);
  requestAnimationFrame(look);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", look);
  };
}

/**
 * @param {string} colour
 * @param {HTMLElement} root
 */
function luminance(colour, root) {
  const probe = root.appendChild(element("span", { style: `color:${colour};display:none` }));
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
