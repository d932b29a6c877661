"use strict";
// Search in a page's transcripts. Answers are looked through for a few milliseconds in each frame, so that typing stays
// smooth; their lower-case text is made once. Every text goes into the page as text.
(() => {
  const BUDGET_MS = 5;
  const PAGE = 20;
  const FLAGS = ["", "unreadable", "held back", "unreadable, held back"];
  const part = (name) => document.getElementById(`finder-${name}`);
  const packed = document.getElementById("packed");
  if (!packed || !("DecompressionStream" in window)) return;

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const make = (tag, text, className = "") => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  };

  const start = ({ models, questions, answers }) => {
    const words = part("words"), kind = part("kind"), model = part("model"), list = part("list");
    const asked = [], answered = [], orders = new Map();
    let hits = [], shown = 0, search = 0;

    const orderOf = (name) => {
      if (!orders.has(name)) {
        const order = answers.map((_, at) => at).filter((at) => name !== "flagged" || answers[at][3] > 0);
        const sign = { worst: -1, best: 1 }[name];
        if (sign) order.sort((one, other) => sign * (answers[one][2] - answers[other][2]) || one - other);
        orders.set(name, order);
      }
      return orders.get(name);
    };

    const holds = (at, sought) => {
      const question = answers[at][1];
      asked[question] ??= questions[question].join("\n").toLowerCase();
      answered[at] ??= answers[at][4].toLowerCase();
      return sought.every((word) => answered[at].includes(word) || asked[question].includes(word));
    };

    const fill = (details, at) => {
      if (details.childElementCount > 1) return;
      const [, question, , , text] = answers[at];
      const [, prompt, truth] = questions[question];
      for (const [name, value] of [["question", prompt], ["answer", text], ["truth", truth]]) {
        details.append(make("span", name, "note"), make("pre", value));
      }
    };

    const entry = (at) => {
      const [by, question, loss, flags] = answers[at];
      const item = document.createElement("li"), details = document.createElement("details");
      const flagged = flags ? `, ${FLAGS[flags]}` : "";
      details.append(make("summary", `${questions[question][0]}, ${models[by]}: loss ${loss.toFixed(3)}${flagged}`));
      details.addEventListener("toggle", () => fill(details, at), { once: true });
      item.append(details);
      return item;
    };

    const showMore = () => {
      const next = hits.slice(shown, shown + PAGE);
      list.append(...next.map(entry));
      shown += next.length;
      part("further").hidden = shown >= hits.length;
    };

    const show = (found) => {
      hits = found;
      shown = 0;
      list.replaceChildren();
      showMore();
      part("status").textContent = `${hits.length.toLocaleString("en")} of ${answers.length.toLocaleString("en")} answers`;
    };

    const look = () => {
      const mine = ++search;
      const sought = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      const by = model.value === "" ? -1 : Number(model.value);
      const order = orderOf(kind.value), found = [];
      let next = 0;
      const scan = () => {
        if (mine !== search) return;
        const end = performance.now() + BUDGET_MS;
        for (; next < order.length && (next % 16 || performance.now() < end); next++) {
          const at = order[next];
          if ((by < 0 || answers[at][0] === by) && holds(at, sought)) found.push(at);
        }
        if (next < order.length) requestAnimationFrame(scan);
        else show(found);
      };
      requestAnimationFrame(scan);
    };

    models.forEach((name, at) => model.append(new Option(name, at)));
    for (const control of [words, kind, model]) control.addEventListener("input", look);
    part("more").addEventListener("click", () => {
      const before = shown;
      showMore();
      list.children[before]?.querySelector("summary").focus();
    });
    const form = document.getElementById("finder");
    form.addEventListener("submit", (event) => event.preventDefault());
    part("plain").hidden = true;
    for (const element of [form, part("status"), list]) element.hidden = false;
    show(orderOf("all"));
  };

  // Whatever the browser cannot unpack, the plain list stays.
  unpack().then(start, (error) => console.warn(`transcripts: ${error}`));
})();
