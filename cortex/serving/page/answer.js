// An answer, and all that it rests on.

import { chartFigure } from "./chart.js";
import { drawn, element } from "./elements.js";

/** Fill the section of an answer. */
export function showAnswer(section, answered) {
  const view = answered.view;
  const title = element("h2", { id: "answer-title", tabindex: "-1" }, heading(answered.question));
  section.replaceChildren(
    title,
    verdict(answered.evidence),
    ...(answered.abstained ? [heldBack(answered.gates)] : [facts(view.facts)]),
    ...view.remarks.map((remark) => element("p", { class: "remark" }, remark)),
    ...(view.chart ? [element("h3", {}, view.chart.title), chartFigure(view.chart)] : []),
    ...reasoning(answered),
    ...checks(answered.gates),
    ...record(view.shares),
    origin(answered),
  );
  section.hidden = false;
  title.focus();
}

/** The question's name; one that a text has is no name. */
function heading(question) {
  return question === "request" ? "The answer" : question;
}

function verdict(evidence) {
  const words = evidence.skill_shown ? "Skill shown" : "Skill not shown";
  const meaning = evidence.skill_shown
    ? "Out of sample this model did better than its baseline, as far as its test can tell."
    : "Out of sample this model has not shown that it does better than its baseline. Do not rely on its answers.";
  return element(
    "div",
    { class: evidence.skill_shown ? "verdict shown" : "verdict" },
    element("strong", {}, words),
    element("p", {}, meaning),
    element("p", { class: "note" }, evidence.reason),
  );
}

function heldBack(gates) {
  const reasons = gates.filter((gate) => !gate.passed).flatMap((gate) => gate.reasons);
  return element(
    "div",
    { class: "held" },
    element("p", {}, element("strong", {}, "The model's answer is held back.")),
    element("ul", {}, ...reasons.map((reason) => element("li", {}, reason))),
  );
}

function facts(found) {
  const long = found.some((fact) => fact.value.length > 60);
  if (long) return element("div", {}, ...found.map((fact) => element("pre", { tabindex: "0" }, fact.value)));
  const pairs = found.map((fact) => element("div", {}, element("dt", {}, fact.label), element("dd", {}, fact.value)));
  return element("dl", { class: "facts" }, ...pairs);
}

function reasoning(answered) {
  if (!answered.reasoning) return [];
  return [element("h3", {}, "Reasoning"), element("pre", {}, answered.reasoning)];
}

const CHECKS = {
  whole: "The answer is whole",
  readable: "The answer has the form that was asked for",
  grounded: "The answer cites only what it was given",
};

function checks(gates) {
  const items = gates.map((gate) => {
    const reasons = gate.reasons.length ? `: ${gate.reasons.join("; ")}` : "";
    return element(
      "li",
      { class: gate.passed ? "passed" : "failed" },
      element("b", {}, gate.passed ? "yes" : "no"),
      ` ${CHECKS[gate.name] ?? gate.name}${reasons}`,
    );
  });
  return [element("h3", {}, "Checks"), element("ul", { class: "checks" }, ...items)];
}

function record(shares) {
  if (!shares.length) return [];
  const head = ["", "Share, 95% interval", "Answers"].map((name, index) =>
    index ? element("th", { scope: "col" }, name) : element("td", {}),
  );
  const rows = shares.map((share) => {
    const name = element("th", { scope: "row" }, share.title);
    if (share.share === null) return element("tr", {}, name, element("td", { colspan: "2" }, share.reason));
    const interval = share.interval ? `${percent(share.interval.low)} to ${percent(share.interval.high)}` : "";
    return element(
      "tr",
      {},
      name,
      element("td", {}, percent(share.share), element("small", {}, interval), bar(share)),
      element("td", {}, share.examples.toLocaleString("en")),
    );
  });
  const table = element("table", { class: "record" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  return [
    element("h3", {}, "How such answers fared"),
    element("p", { class: "note" }, "On the test examples, which the model was not trained on. Where there are too few, no share is stated."),
    table,
  ];
}

/** A share between 0 and 1 as a dot on its interval; the table says the same. */
function bar(share) {
  const width = 120;
  const place = (value) => Math.round(value * width * 10) / 10;
  const parts = [drawn("line", { class: "grid", x1: 0, x2: width, y1: 6, y2: 6 })];
  if (share.interval) {
    const { low, high } = share.interval;
    parts.push(drawn("line", { class: "range", x1: place(low), x2: place(high), y1: 6, y2: 6 }));
  }
  parts.push(drawn("circle", { class: "middle", cx: place(share.share), cy: 6, r: 4 }));
  return drawn("svg", { class: "bar", "aria-hidden": "true", viewBox: `-5 0 ${width + 10} 12`, width: width + 10, height: 12 }, ...parts);
}

function percent(value) {
  return `${(value * 100).toFixed(0)}%`;
}

function origin(answered) {
  const { model, copy, manifest, request_id: request, route } = answered;
  const why = route?.reason ? ` (asked because ${route.reason})` : "";
  return element("p", { class: "note origin" }, `Model ${model}${why}, ${copy}, release ${manifest.slice(0, 12)}; request ${request}.`);
}
