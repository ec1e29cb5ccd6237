// Theme: dark and light with the front end.
import { element } from "./values.js";

// Dark where the front end is dark: its colours are asked, since every front end names its themes otherwise.
export function followTheme(root) {
  const look = () => {
    const style = getComputedStyle(root);
    const named = ["--jp-layout-color1", "--vscode-editor-background"].map(name => style.getPropertyValue(name).trim()).find(Boolean);
    const light = named ? luminance(named, root) > 0.5 : !matchMedia("(prefers-color-scheme: dark)").matches;
    root.classList.toggle("nbg-dark", !light);
    root.classList.toggle("nbg-light", light);
  };
  const observer = new MutationObserver(() => requestAnimationFrame(look));
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme"] });
  }
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", look);
  requestAnimationFrame(look);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", look);
  };
}

function luminance(colour, root) {
  const probe = root.appendChild(element("span", { style: `color:${colour};display:none` }));
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
