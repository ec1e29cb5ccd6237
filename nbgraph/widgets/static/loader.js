// Loader: unpacks a widget's module and loads it; every view of a notebook carries one.
const bytes = Uint8Array.from(atob("PACKED"), letter => letter.charCodeAt(0));
const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const url = URL.createObjectURL(new Blob([await new Response(unpacked).text()], { type: "text/javascript" }));
const { default: widget } = await import(url);
URL.revokeObjectURL(url);

export default widget;
