// Child: a widget of the kernel's inside of a view, where the front end lets one view make another.

// Values that the front end's own renderers show best: asked for by a click, put where it was.
export function serveShown(model, root) {
  let place = null;
  const answer = message => message.kind === "shown" && place && showChild(model, message.model, place)
    .catch(error => { place.textContent = `This front end can't show it here: ${error.message}`; });
  root.addEventListener("nbg-show", ({ detail }) => {
    place = detail.place;
    model.send({ kind: "show", of: detail.of });
  });
  model.on("msg:custom", answer);
  return () => model.off("msg:custom", answer);
}

export async function showChild(model, id, place) {
  const manager = model.widget_manager;
  const child = await manager.get_model(id);
  const view = await manager.create_view(child);
  place.replaceChildren(view.el);
  for (const type of ["before-attach", "after-attach"]) view.luminoWidget?.processMessage({ type }); // what is drawn on being shown waits for it
  view.trigger("displayed");
  return () => view.remove();
}
