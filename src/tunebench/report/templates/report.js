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
    !cell || cell.colSpan > 1 || cell.dataset.wide || ["", "-"].includes(text(cell)) ||
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

  // By words in a row, and by its label where the table's entries have labels.
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
    const labels = rows.map((row) => JSON.parse(row.querySelector("[data-labels]")?.dataset.labels ?? "[]"));
    const select = document.createElement("select");
    const names = [...new Set(labels.flat())].sort();
    if (names.length > 1) {
      const which = document.createElement("label");
      select.append(new Option("any"), ...names.map((name) => new Option(name)));
      which.append("True label: ", select);
      label.after(" ", which);
    }
    function filter() {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const name = names[select.selectedIndex - 1];
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => contents[index].includes(word)) ||
          (name !== undefined && !labels[index].includes(name));
      });
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length || name !== undefined ? `${shown} of ${rows.length} rows` : "";
    }
    field.addEventListener("input", filter);
    select.addEventListener("change", filter);
  }

  // Which columns a table shows: at first the usual ones that have room.
  function choosable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [table.tHead.rows[0], ...table.tBodies[0].rows];
    const box = table.closest(".scroll");
    const chooser = document.createElement("details");
    const summary = document.createElement("summary");
    const fields = heads.map((head) => {
      const field = document.createElement("input");
      field.type = "checkbox";
      field.checked = !head.classList.contains("more");
      return field;
    });
    summary.textContent = "Columns";
    chooser.className = "columns";
    chooser.append(summary, ...heads.slice(1).map((head, place) => {
      const label = document.createElement("label");
      label.append(fields[place + 1], " " + text(head).replace(/\s+/g, " "));
      return label;
    }));

    function show() {
      const shown = fields.filter((field) => field.checked).length;
      rows.forEach((row) => [...row.cells].forEach((cell, place) => {
        if (cell.dataset.wide || cell.colSpan > 1) {
          cell.dataset.wide = "yes";
          cell.colSpan = Math.max(shown - 1, 1);
        } else cell.classList.toggle("more", !fields[place].checked);
      }));
      box.classList.toggle("fits", table.offsetWidth <= box.clientWidth);
    }

    function fit() {
      show();
      for (let place = heads.length - 1; place > 2 && table.offsetWidth > box.clientWidth; place--) {
        if (!fields[place].checked) continue;
        fields[place].checked = false;
        show();
      }
    }

    table.classList.add("few");
    fields.forEach((field) => field.addEventListener("change", show));
    box.before(chooser);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      fit();
    }, { rootMargin: "900px" }).observe(box);
  }

  function prepare(table) {
    if (table.querySelector("thead .more")) choosable(table);
    if (table.classList.contains("fixed")) return;
    const rows = table.tBodies[0].rows.length;
    if (rows > 1) sortable(table);
    if (rows > 7) filterable(table);
  }

  // A folded table is prepared when it is opened: a page of 1,000 runs has most of its rows there.
  document.querySelectorAll("table").forEach((table) => {
    const folded = table.closest("details:not([open])");
    if (folded) folded.addEventListener("toggle", () => prepare(table), { once: true });
    else prepare(table);
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

  const wanted = new Map(); // figure -> the technique to mark, and the view
  const drawings = new Map(); // figure -> how it is drawn again

  function chart(figure) {
    const { views, rows } = JSON.parse(figure.querySelector("script").textContent);
    const live = figure.querySelector(".live");
    const names = Object.keys(views);
    let chosen = names[0];
    let width = 0;

    async function draw() {
      const { label, view } = wanted.get(figure) ?? {};
      const shown = names.includes(view) ? view : chosen;
      const values = label === undefined ? rows : rows.map((row) => ({ ...row, chosen: row.technique === label }));
      width = Math.min(figure.querySelector(".plot").clientWidth, 640);
      const place = document.createElement("div");
      live.replaceChildren(place);
      figure.classList.add("drawn");
      try {
        await vegaEmbed(place, { ...fitted(views[shown], width), data: { values } }, {
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

    drawings.set(figure, draw);
    if (names.length > 1 && !figure.closest(".card")) {
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

  // Decisions ---------------------------------------------------------------------------------------------------------

  // The rule of tunebench/evaluation/choice.py: the number of the option that is chosen; -1: none is.
  function choose(options, accepted, noise) {
    const limit = Math.min(...options.map((one) => one.loss)) + accepted + 1e-9;
    const good = options.filter((one) => one.loss <= limit && (one.tied || (one.most ?? Infinity) <= limit));
    const cost = (one) => one.cost ?? Infinity;
    const least = Math.min(...good.map(cost));
    const cheap = good.filter((one) => cost(one) === least || cost(one) <= least + noise * Math.abs(least));
    cheap.sort((a, b) => a.loss - b.loss || (cost(a) === cost(b) ? 0 : cost(a) - cost(b)));
    return cheap.length ? options.indexOf(cheap[0]) : -1;
  }

  function decisions(section) {
    const cards = [...section.querySelectorAll(".card")].map((node) => ({
      node, ...JSON.parse(node.querySelector(":scope > script").textContent),
    }));
    const marks = new Map();
    document.querySelectorAll(".use").forEach((mark) => {
      const { card, choice } = mark.dataset;
      marks.set(card, [...(marks.get(card) ?? []), [Number(choice), mark]]);
    });
    const any = cards.find(({ choices }) => choices.length > 1);
    if (!any) return;
    const measured = (name) => cards.some(({ choices }) => choices.some((one) => one.costs[name] !== null));
    const points = document.createElement("input");
    const saved = document.createElement("select");
    const said = document.createElement("span");
    const [line, before, between] = ["p", "label", "label"].map((name) => document.createElement(name));
    Object.assign(points, { type: "number", min: 0, step: 0.5, value: section.dataset.accepted, autocomplete: "off" });
    saved.append(...Object.keys(any.views).filter(measured).map((name) => new Option(name, name)));
    said.setAttribute("role", "status");
    line.className = "control";
    before.append("I accept losing up to ", points);
    between.append(" points to save ", saved);
    line.append(before, between, " ", said);
    section.prepend(line);
    function show(card, number) {
      const one = card.choices[number];
      const strong = document.createElement("strong");
      strong.textContent = one?.title ?? "";
      const lines = (one?.lines ?? []).flatMap((line) => {
        const part = document.createElement("span");
        part.textContent = line;
        return [" ", part];
      });
      const words = one ? [one.lead + " ", strong, ":", ...lines] : [card.none];
      card.node.querySelector(".decision").replaceChildren(...words);
      (marks.get(card.node.dataset.anchor) ?? []).forEach(([choice, mark]) => {
        mark.textContent = choice === number ? " \u2714" : "";
      });
    }

    function decide(redraw) {
      const accepted = points.valueAsNumber;
      if (!(accepted >= 0)) return;
      const name = saved.value;
      const shown = cards.map(({ choices, noises }) =>
        choose(choices.map((one) => ({ ...one, cost: one.costs[name] })), accepted, noises[name] ?? 0));
      if (!redraw) return shown;
      cards.forEach((card, place) => {
        show(card, shown[place]);
        card.node.querySelectorAll("figure.chart").forEach((figure) => {
          wanted.set(figure, { label: card.choices[shown[place]]?.label ?? null, view: card.views[name] });
          drawings.get(figure)?.();
        });
      });
      const changed = shown.filter((number, place) => number !== first[place]).length;
      said.textContent = `${changed} of ${cards.length} recommendations differ from the report's.`;
      section.querySelector(".rule").textContent = section.dataset.rule
        .replace("{spared}", name).replace("{points}", `${accepted} point${accepted === 1 ? "" : "s"}`);
    }

    const first = decide(false); // what the page says already
    points.addEventListener("change", () => decide(true));
    saved.addEventListener("change", () => decide(true));
  }

  document.querySelectorAll(".decisions").forEach(decisions);

  // Print: what is folded is opened -------------------------------------------------------------------------------------

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)));
})();
