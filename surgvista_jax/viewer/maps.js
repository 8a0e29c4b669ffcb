// Of each lane of pictures the one of this moment, large: what a model rebuilds, its features.

const FEW_PIXELS = 40;

function makeMaps(page) {
  const lanes = page.operation.lanes.filter(({ images }) => images);
  if (!lanes.length) return null;
  const figures = lanes.map((lane) => {
    const image = element("img", { alt: "", draggable: false, on: { load: () => {
      image.style.imageRendering = image.naturalWidth <= FEW_PIXELS ? "pixelated" : ""; // tokens are squares
    } } });
    const figure = element("figure", {}, image, element("figcaption", { className: "soft", text: lane.title }));
    return { film: makeFilm(lane), image, figure, address: null };
  });
  function show() {
    for (const shown of figures) {
      const next = shown.film.addressAt(page.seconds);
      if (next === shown.address) continue;
      shown.address = next;
      shown.image.src = next;
    }
  }
  page.onTime(show);
  show();
  const card = titled("What the model makes of it", element("div", { className: "maps" }, ...figures.map(({ figure }) => figure)));
  return card;
}
