// Selecting a map enlarges it in all three figures; pointing at it reads its values from the opacity of the images.
"use strict";
for (const section of document.querySelectorAll("section.kind")) {
  const {queries, keys} = JSON.parse(section.dataset.tokens);
  const pixels = new Map(), output = section.querySelector("output");

  const read = (name, href) => {
    pixels.delete(name);
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [keys.length, queries.length];
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      pixels.set(name, context.getImageData(0, 0, keys.length, queries.length).data);
    };
    image.src = href;
  };
  const weight = (name, at) => pixels.has(name) ? (pixels.get(name)[4 * at + 3] / 255) ** 2 : NaN;

  const show = (layer, column) => {
    for (const button of section.querySelectorAll("button")) {
      const chosen = button.dataset.layer === layer && button.dataset.column === column;
      button.setAttribute("aria-pressed", chosen);
      if (!chosen) continue;
      const name = button.closest("table").dataset.figure, href = button.firstElementChild.src;
      section.querySelector(`svg[data-figure="${name}"] image`).setAttribute("href", href);
      section.querySelector(".now").textContent = button.getAttribute("aria-label");
      read(name, href);
    }
  };
  const chosen = section.querySelector('button[aria-pressed="true"]');
  show(chosen.dataset.layer, chosen.dataset.column);

  section.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(button.dataset.layer, button.dataset.column);
  });
  for (const image of section.querySelectorAll("svg.large image")) {
    image.addEventListener("pointermove", (event) => {
      const box = image.getBoundingClientRect();
      const row = Math.min(queries.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * queries.length)));
      const column = Math.min(keys.length - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * keys.length)));
      const at = row * keys.length + column, [tuned, untuned] = [weight("tuned", at), weight("untuned", at)];
      const added = [queries[row], keys[column]].some((token) => token.role === "virtual");
      output.textContent = `“${queries[row].text}” (${row + 1}) attends to “${keys[column].text}” (${column + 1}): ` +
        `tuned about ${tuned.toFixed(2)}, ` + (added ? "the untuned model has no such token" : `untuned about ${untuned.toFixed(2)}`);
    });
    image.addEventListener("pointerleave", () => { output.textContent = ""; });
  }
}
