// Child: a widget of the kernel's inside of a view, where the front end lets one view make another.

export async function showChild(model, id, place) {
  const manager = model.widget_manager;
  const child = await manager.get_model(id);
  const view = await manager.create_view(child);
  place.replaceChildren(view.el);
  view.trigger("displayed");
  return () => view.remove();
}
