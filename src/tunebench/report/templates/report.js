// Sorting, filtering and live charts. Without scripts the page has the same content.
"use strict";
(() => {
  const text = (node) => node.textContent.trim();

  // Tables ------------------------------------------------------------------------------------------------------------

  const key = (cell) => {
    if ("order" in cell.dataset) return Number(cell.dataset.order);
    const shown = text(cell).replace(/,/g, "");
    return shown !== "" && isFinite(shown) ? Number(shown) : text(cell);
  };
  const missing = (cell) =>
    !cell || cell.colSpan > 1 || ["", "-"].includes(text(cell)) ||
    (cell.classList.contains("n") && typeof key(cell) === "string"); // pending, undefined, not reached
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });

  function sortable(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      const arrow = document.createElement("span");
      arrow.className = "arrow";
      arrow.setAttribute("aria-hidden", "true");
      const [title, ...notes] = head.childNodes;
      title.textContent = text(title); // without the blank before a note, so that the arrow stays next to its title
      button.append(title, arrow, ...notes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", next);
        if (next === "none") return body.append(...original);
        const sign = next === "ascending" ? 1 : -1;
        const known = original.filter((row) => !missing(row.cells[column]));
        const others = original.filter((row) => missing(row.cells[column]));
        known.sort((a, b) => sign * compare(key(a.cells[column]), key(b.cells[column])));
        body.append(...known, ...others);
      });
    });
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const line = document.createElement("p");
    const label = document.createElement("label");
    const field = document.createElement("input");
    const count = document.createElement("span");
    line.className = "filter";
    field.type = "search";
    field.autocomplete = "off";
    count.setAttribute("role", "status");
    label.append("Filter rows: ", field);
    line.append(label, " ", count);
    table.closest(".table").prepend(line);
    const contents = rows.map((row) => text(row).toLowerCase());
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, index) => (row.hidden = !words.every((word) => contents[index].includes(word))));
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  document.querySelectorAll("table:not(.fixed)").forEach((table) => {
    const rows = table.tBodies[0].rows.length;
    if (rows > 1) sortable(table);
    if (rows > 7) filterable(table);
  });

  // Charts ------------------------------------------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");

  function fitted(view, width) {
    if (!view.facet) {
      const legend = { ...view.config.legend, columns: width < 380 ? 1 : 2 };
      return { ...view, width, autosize: { type: "fit-x", contains: "padding" }, config: { ...view.config, legend } };
    }
    const columns = Math.max(1, Math.min(view.columns, Math.floor((width - 20) / (view.spec.width + 45))));
    return { ...view, columns };
  }

  function chart(figure) {
    const { views, rows } = JSON.parse(figure.querySelector("script").textContent);
    const live = figure.querySelector(".live");
    const names = Object.keys(views);
    let chosen = names[0];
    let width = 0;

    async function draw() {
      width = Math.min(figure.querySelector(".plot").clientWidth, 640);
      const place = document.createElement("div");
      live.replaceChildren(place);
      figure.classList.add("drawn");
      try {
        await vegaEmbed(place, { ...fitted(views[chosen], width), data: { values: rows } }, {
          ast: true, renderer: "svg", tooltip: { theme: dark.matches ? "dark" : "light" },
          actions: { export: true, source: false, compiled: false, editor: false },
          downloadFileName: figure.dataset.file,
        });
        place.querySelector("summary").setAttribute("aria-label", "Save this chart");
        figure.dataset.state = "drawn";
      } catch (error) {
        figure.classList.remove("drawn");
        console.error(error);
      }
    }

    if (names.length > 1) {
      const label = document.createElement("label");
      const select = document.createElement("select");
      select.append(...names.map((name) => new Option(name, name)));
      label.append(figure.dataset.choice + " ", select);
      label.className = "choice";
      figure.querySelector(".plot").before(label);
      select.addEventListener("change", () => {
        chosen = select.value;
        draw();
      });
    }
    new ResizeObserver(() => {
      if (Math.abs(Math.min(figure.querySelector(".plot").clientWidth, 640) - width) > 8) draw();
    }).observe(figure);
    dark.addEventListener("change", draw);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      chart(entry.target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("figure.chart").forEach((figure) => seen.observe(figure));

  // Print: what is folded is opened -------------------------------------------------------------------------------------

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)));
})();
