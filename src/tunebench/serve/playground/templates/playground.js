// The playground: what a model says is put into the page as text.
"use strict";
(() => {
  const room = document.querySelector(".playground");
  const find = (selector) => room.querySelector(selector);
  const [cell, text, pair, go, trouble, answers] =
    [".cell", ".text", ".pair", ".go", ".trouble", ".answers"].map(find);
  const make = (name, content, className) => {
    const node = document.createElement(name);
    if (content !== undefined) node.textContent = content;
    if (className) node.className = className;
    return node;
  };
  let runs = [];
  let round = 0;

  async function asked(path, content) {
    const answer = await fetch(path, content && {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content),
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error ?? "The server refuses this.");
    return said;
  }

  const chosen = () => runs.filter((run) => run.cell === cell.value);

  function second() {
    const [first] = chosen();
    find(".second").hidden = !first?.second;
    if (!first?.second) return;
    const name = first.second === "pair" ? "Second text" : first.second[0].toUpperCase() + first.second.slice(1);
    find(".second .name").textContent = first.optional ? `${name} (may be empty)` : name;
    find(".name").textContent = first.second === "context" ? "Question" : "Text";
  }

  async function list() {
    try {
      runs = (await asked("/playground/runs")).runs;
    } catch {
      return; // the page says that its server is gone
    }
    const cells = [...new Set(runs.map((run) => run.cell))];
    if (cells.join("\n") !== [...cell.options].map((option) => option.value).join("\n")) {
      const before = cell.value;
      cell.replaceChildren(...cells.map((name) => new Option(name, name)));
      if (cells.includes(before)) cell.value = before;
      second();
    }
    room.hidden = !runs.length;
  }

  const milliseconds = (seconds) => seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : `${seconds.toFixed(1)} s`;

  function marked(pieces) {
    const line = make("p");
    pieces.forEach(([piece, kind], place) => {
      if (place) line.append(kind === "answer" || pieces[place - 1][1] === "answer" ? "" : " ");
      if (kind === null) return line.append(piece);
      const mark = make("mark", piece);
      if (kind !== "answer") mark.append(make("small", kind));
      line.append(mark);
    });
    return line;
  }

  function ranked(labels) {
    const list = make("div", undefined, "ranked");
    for (const [label, share] of labels) {
      const bar = make("meter");
      bar.value = share;
      bar.setAttribute("aria-label", `Probability of ${label}`);
      list.append(make("span", label), bar, make("span", share.toFixed(3)));
    }
    return list;
  }

  function show(card, run, said, question) {
    const times = [`${milliseconds(said.seconds)} for this answer`];
    if (said.loaded !== null) times.push(`loaded in ${milliseconds(said.loaded)}`);
    card.replaceChildren(card.firstChild, make("p", said.answer, "answer"));
    if (said.marked.length) card.append(marked(said.marked));
    if (said.ranked.length) card.append(ranked(said.ranked));
    if (said.note) card.append(make("p", said.note, "fine"));
    card.append(make("p", [...times, run.score].join(" · "), "fine"));
    if (!run.attends) return;
    const button = make("button", "Attention");
    button.type = "button";
    button.setAttribute("aria-label", `Attention of ${run.title}`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      button.textContent = "Computing …";
      try {
        const { page } = await asked("/playground/attention", question);
        find(".attention").hidden = false;
        find(".attention a").href = find(".attention iframe").src = page;
        find(".attention").scrollIntoView({ block: "nearest" });
      } catch (error) {
        card.append(make("p", error.message, "warning"));
      }
      button.disabled = false;
      button.textContent = "Attention";
    });
    card.append(button);
  }

  async function answer() {
    const mine = ++round;
    trouble.hidden = true;
    if (!text.value.trim()) {
      trouble.textContent = "The text is empty. Type at least one word.";
      trouble.hidden = false;
      return text.focus();
    }
    find(".attention").hidden = true;
    const contestants = chosen().map((run) => {
      const card = make("article");
      card.append(make("h3", run.title), make("p", "waits …", "fine"));
      return [run, card];
    });
    answers.replaceChildren(...contestants.map(([, card]) => card));
    for (const [run, card] of contestants) {
      if (mine !== round) return;
      const question = { run: run.key, text: text.value, pair: pair.value };
      card.lastChild.textContent = "answers …";
      try {
        const said = await asked("/playground/answer", question);
        if (mine === round) show(card, run, said, question);
      } catch (error) {
        card.replaceChildren(card.firstChild, make("p", error.message, "warning"));
      }
    }
  }

  cell.addEventListener("change", () => {
    second();
    answers.replaceChildren();
  });
  go.addEventListener("click", answer);
  [text, pair].forEach((field) => field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) answer();
  }));
  list();
  setInterval(list, 5000);
})();
