// What the server tells of studies, put into the page as text: nothing that a study says is read as markup. Only the
// report's own cards come as markup, escaped where they were made.
"use strict";
(() => {
  history.replaceState(null, "", location.pathname + location.hash); // the token is in a cookie now
  const STATES = { running: "running", ended: "ended", interrupted: "stopped", absent: "waiting" };
  const make = (name, content, className) => {
    const node = document.createElement(name);
    if (content !== undefined) node.textContent = content;
    if (className) node.className = className;
    return node;
  };
  const say = (node, content) => {
    if (node.textContent !== content) node.textContent = content; // what is read aloud is read once
  };
  const text = (node) => node.textContent.trim();
  const gigabytes = (bytes) => (bytes / 1e9).toFixed(1);

  async function post(path, content) {
    const answer = await fetch(path, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content),
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error ?? "The server refuses this.");
    return said;
  }

  // Asked before anything is changed -----------------------------------------------------------------------------------

  const dialog = document.querySelector("dialog.ask");
  let agreed = null;
  dialog.querySelector(".no").addEventListener("click", () => dialog.close());
  dialog.querySelector(".yes").addEventListener("click", async () => {
    const trouble = dialog.querySelector(".trouble");
    try {
      await agreed();
      dialog.close();
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  });

  function ask(title, what, verb, act) {
    dialog.querySelector("h2").textContent = title;
    dialog.querySelector(".what").textContent = what;
    dialog.querySelector(".yes").textContent = verb;
    dialog.querySelector(".trouble").hidden = true;
    agreed = act;
    dialog.showModal();
    dialog.querySelector(".no").focus();
  }

  // A study --------------------------------------------------------------------------------------------------------------

  function Study(node, number) {
    const find = (selector) => node.querySelector(selector);
    const rows = new Map(); // a run at work -> its line
    let version = null;
    let again = 0;

    function head(content) {
      node.dataset.state = content.state;
      say(find("h2"), content.name);
      say(find(".badge"), STATES[content.state] ?? content.state);
      say(find(".sentence"), content.sentence);
      say(find(".counts"), content.counts);
      say(find(".folder"), content.folder);
      find(".whole").hidden = !content.total;
      const bar = find(".whole progress");
      bar.max = Math.max(content.total, 1);
      bar.value = content.done;
      say(find(".left"), content.left ? `about ${content.left} left` : "");
      const key = `${content.version} ${content.state}`;
      if (content.results && key !== version) {
        version = key;
        cards();
      }
    }

    async function cards() {
      try {
        const answer = await (await fetch(`/studies/${number}/cards`)).json();
        const place = find(".cards-so-far");
        if (answer.trouble) place.replaceChildren(make("p", answer.trouble, "warning"));
        else place.innerHTML = answer.html; // escaped by the report; the page's policy runs no script in it
        place.querySelectorAll("section").forEach((one) => { // several studies have one each
          one.removeAttribute("id");
          one.removeAttribute("aria-labelledby");
        });
        place.querySelectorAll("h2").forEach((one) => one.remove());
        place.querySelectorAll("figure.chart").forEach((still) => {
          const data = JSON.parse(still.querySelector("script").textContent);
          const one = { title: text(still.querySelector("figcaption")), choice: still.dataset.choice, ...data };
          const figure = Figure(one, still.querySelector(".picture"));
          still.replaceWith(figure.node);
          figure.show(one);
        });
        place.querySelectorAll(".card h3 a").forEach((link) => {
          link.href = `/studies/${number}/report${link.getAttribute("href")}`;
          link.target = "_blank";
        });
        find(".results").hidden = false;
        clearTimeout(again);
        if (!answer.whole) again = setTimeout(cards, 15000); // a result has come meanwhile
      } catch {} // the connection says so
    }

    function line(one) {
      const item = make("li");
      const top = make("div", undefined, "line");
      const bar = make("progress");
      const stop = make("button", "Stop this run");
      bar.max = 1;
      bar.setAttribute("aria-label", `Progress of ${one.name}`);
      stop.type = "button";
      stop.setAttribute("aria-label", `Stop this run: ${one.name}`);
      stop.addEventListener("click", () => ask(
        "Stop this run?",
        `${one.name} ends now. Its result says that it was stopped by hand. The same command makes it again, from its last checkpoint.`,
        "Stop this run",
        async () => {
          await post(`/studies/${number}/stop`, { run: one.run });
          item.querySelectorAll("button").forEach((button) => (button.disabled = true));
          stop.textContent = "Stopping …";
        },
      ));
      top.append(make("strong", one.name), bar, stop);
      if (one.label !== null) {
        const skip = make("button", "Skip this technique");
        skip.type = "button";
        skip.setAttribute("aria-label", `Skip this technique: ${one.technique}`);
        skip.addEventListener("click", () => ask(
          "Skip this technique?",
          `This run of ${one.technique} ends now, and no further run with the label ${one.label} is made on any task of this study. Their results say that they were skipped by hand. The same command makes them.`,
          "Skip this technique",
          () => post(`/studies/${number}/skip`, { label: one.label }),
        ));
        top.append(skip);
      }
      item.append(top, make("div", undefined, "detail"));
      return item;
    }

    function work(content) {
      const list = find(".work");
      const there = new Set(content.map((one) => one.run));
      [...rows].forEach(([run, item]) => {
        if (there.has(run)) return;
        item.remove();
        rows.delete(run);
      });
      for (const one of content) {
        if (!rows.has(one.run)) {
          rows.set(one.run, line(one));
          list.append(rows.get(one.run));
        }
        const item = rows.get(one.run);
        const bar = item.querySelector("progress");
        if (one.share === null) bar.removeAttribute("value");
        else bar.value = one.share;
        const left = one.left ? `about ${one.left} left` : "";
        say(item.querySelector(".detail"), [one.phase, one.detail, `${one.since} so far`, left].filter(Boolean).join(" · "));
      }
      find(".at-work").hidden = !content.length;
    }

    function runs(content) {
      find(".runs").hidden = !content.length;
      find(".runs tbody").replaceChildren(...content.map((one) => {
        const row = make("tr");
        const name = make("th", one.technique);
        name.scope = "row";
        const status = make("td", one.status);
        if (one.note) status.append(make("small", one.note));
        row.append(name, make("td", one.task), make("td", one.model), make("td", one.seed, "n"), status,
          make("td", one.score), make("td", one.seconds, "n"));
        return row;
      }));
    }

    function happened(content) {
      find(".happened").hidden = !content.length;
      say(find(".happened pre"), content.map(([when, words]) => `${new Date(1000 * when).toLocaleTimeString()}  ${words}`).reverse().join("\n"));
    }

    function logs(content) {
      find(".logs").hidden = !content.length;
      const place = find(".logs div");
      const open = place.querySelectorAll("pre").length;
      place.replaceChildren(...content.flatMap(({ name, text: end }) => {
        const log = make("pre", end);
        log.tabIndex = 0;
        log.setAttribute("aria-label", name);
        return [make("p", name, "fine"), log];
      }));
      if (!open) return;
      place.querySelectorAll("pre").forEach((log) => (log.scrollTop = log.scrollHeight));
    }

    const parts = { head, work, runs, happened, logs, charts: charts(find) };
    return (part, content) => parts[part]?.(content);
  }

  // Charts ----------------------------------------------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const REDRAWN = 3000; // milliseconds between two drawings of a chart

  function charts(find) {
    const figures = new Map();

    return (content) => {
      const there = new Set(content.map((one) => one.key));
      [...figures].forEach(([key, one]) => {
        if (there.has(key)) return;
        one.node.remove();
        figures.delete(key);
      });
      content.forEach((one, place) => {
        if (!figures.has(one.key)) figures.set(one.key, Figure(one));
        const figure = figures.get(one.key);
        const at = find(".drawings > .figures").children[place];
        if (at !== figure.node) find(".drawings > .figures").insertBefore(figure.node, at ?? null);
        figure.show(one);
      });
      find(".drawings").hidden = !content.length;
    };
  }

  function Figure(first, still) {
    const node = make("figure", undefined, "chart");
    const plot = make("div", undefined, "plot");
    const caption = make("figcaption", first.title);
    const select = make("select");
    const label = make("label", `${first.choice} `, "choice");
    let shown = first, seen = false, last = -Infinity, waits = false, width = 0, drawn = "";
    if (still) plot.append(still); // until it is drawn
    label.append(select);
    select.addEventListener("change", () => draw(true));
    node.append(label, plot, caption);

    async function draw(now) {
      if (!seen || !window.vegaEmbed) return;
      const wait = last + REDRAWN - performance.now();
      if (!now && wait > 0) {
        if (!waits) setTimeout(() => { waits = false; draw(true); }, wait);
        waits = true;
        return;
      }
      const view = shown.views[select.value] ?? Object.values(shown.views)[0];
      const wanted = JSON.stringify([view, shown.rows, plot.clientWidth, dark.matches]);
      if (wanted === drawn) return;
      drawn = wanted;
      last = performance.now();
      width = Math.min(plot.clientWidth, 640);
      const place = make("div");
      const legend = { ...view.config.legend, columns: width < 380 ? 1 : 2 };
      const fitted = { ...view, width, autosize: { type: "fit-x", contains: "padding" }, config: { ...view.config, legend } };
      try {
        await vegaEmbed(place, { ...fitted, data: { values: shown.rows } }, {
          ast: true, renderer: "svg", actions: false, tooltip: { theme: dark.matches ? "dark" : "light" },
        });
        plot.replaceChildren(place); // only when it is drawn: nothing flickers
        node.dataset.state = "drawn";
      } catch (error) {
        console.error(error);
      }
    }

    new IntersectionObserver((entries) => {
      seen = entries.at(-1).isIntersecting;
      draw();
    }, { rootMargin: "300px" }).observe(node);
    new ResizeObserver(() => {
      if (Math.abs(Math.min(plot.clientWidth, 640) - width) > 8) draw(true);
    }).observe(node);
    dark.addEventListener("change", () => draw(true));
    document.querySelector('script[src="/vega.js"]').addEventListener("load", () => draw(true));

    return {
      node,
      show(one) {
        const names = Object.keys(one.views);
        if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
          const before = select.value;
          select.replaceChildren(...names.map((name) => new Option(name, name)));
          if (names.includes(before)) select.value = before;
          label.hidden = names.length < 2;
        }
        shown = one;
        draw();
      },
    };
  }

  // The server ----------------------------------------------------------------------------------------------------------

  function machine(content) {
    const parts = [`${content.busy} % of ${content.cores} cores busy`];
    if (content.load !== null) parts.push(`load ${content.load}`);
    parts.push(`${gigabytes(content.memory_used)} of ${gigabytes(content.memory)} GB memory`, `${gigabytes(content.disk_free)} GB of disk free`);
    document.querySelector(".machine").textContent = parts.join(" · ");
  }

  const studies = [...document.querySelectorAll(".study")].map((node) => Study(node, node.dataset.study));
  const source = new EventSource("/events");
  const lost = document.querySelector(".connection");
  source.addEventListener("open", () => (lost.hidden = true));
  source.addEventListener("error", () => (lost.hidden = false));
  source.addEventListener("message", (event) => {
    const { study, part, content } = JSON.parse(event.data);
    if (study < 0) machine(content);
    else studies[study](part, content);
  });
})();
