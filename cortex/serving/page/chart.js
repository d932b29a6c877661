// A line of known values, and at its end the interval that an answer states for a time ahead.

import { drawn, element } from "./elements.js";

const HEIGHT = 280;
const EDGE = { top: 12, right: 10, bottom: 28, left: 58 };
const AHEAD = 0.24; // share of the width for the time ahead, which has a scale of its own

const NUMBERS = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });

/** The chart with its caption, and the same as a table. */
export function chartFigure(chart) {
  const place = element("div", { class: "chart" });
  const figure = element(
    "figure",
    {},
    place,
    element("figcaption", { class: "note" }, caption(chart)),
    element("details", {}, element("summary", {}, "The chart as a table"), table(chart)),
  );
  // It is drawn for the width that it has, so that its letters are of the same size on a phone.
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0 && width !== Number(place.dataset.width)) {
      place.dataset.width = width;
      place.replaceChildren(draw(chart, width));
    }
  }).observe(place);
  return figure;
}

function caption(chart) {
  const last = chart.points.at(-1);
  const known = `${chart.values} ${NUMBERS.format(last.value)} at ${last.label}`;
  if (!chart.ahead) return `${known}.`;
  const { low, middle, high, label } = chart.ahead;
  return `${known}; ${label} the model expects ${NUMBERS.format(middle)}, and ${NUMBERS.format(low)} to ${NUMBERS.format(high)} with 90%.`;
}

function table(chart) {
  const row = (name, value) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value));
  const rows = chart.points.map((point) => row(point.label, NUMBERS.format(point.value)));
  if (chart.ahead) {
    const { low, middle, high, label } = chart.ahead;
    rows.push(row(`${label}, expected`, NUMBERS.format(middle)));
    rows.push(row(`${label}, interval`, `${NUMBERS.format(low)} to ${NUMBERS.format(high)}`));
  }
  const head = element("tr", {}, element("th", { scope: "col" }, "Time"), element("th", { scope: "col" }, chart.values));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows.reverse()));
}

function draw(chart, width) {
  const { points, ahead } = chart;
  const values = [...points.map((point) => point.value), ...(ahead ? [ahead.low, ahead.high] : [])];
  const ticks = niceTicks(Math.min(...values), Math.max(...values));
  const right = width - EDGE.right;
  const now = ahead ? right - (right - EDGE.left) * AHEAD : right;
  const begin = Date.parse(points[0].time);
  const span = Math.max(1, Date.parse(points.at(-1).time) - begin);
  const x = (point) => EDGE.left + ((Date.parse(point.time) - begin) / span) * (now - EDGE.left);
  const [low, high] = [ticks[0], ticks.at(-1)];
  const y = (value) => EDGE.top + ((high - value) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = points.map((point) => `${round(x(point))},${round(y(point.value))}`).join(" ");
  const bottom = HEIGHT - EDGE.bottom;
  const parts = ticks.flatMap((tick) => [
    drawn("line", { class: "grid", x1: EDGE.left, x2: right, y1: round(y(tick)), y2: round(y(tick)) }),
    drawn("text", { x: EDGE.left - 8, y: round(y(tick)) + 4, "text-anchor": "end" }, NUMBERS.format(tick)),
  ]);
  parts.push(drawn("text", { x: EDGE.left, y: HEIGHT - 8 }, points[0].label));
  if (ahead) parts.push(...aheadOf(points.at(-1), ahead, { now, right, bottom, y }));
  const anchor = ahead ? "middle" : "end";
  parts.push(drawn("polyline", { class: "line", points: line }));
  parts.push(drawn("text", { x: round(now), y: HEIGHT - 8, "text-anchor": anchor }, points.at(-1).label));
  const size = { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT };
  return drawn("svg", { role: "img", "aria-label": `${chart.title}. ${caption(chart)}`, ...size }, ...parts);
}

function aheadOf(last, ahead, { now, right, bottom, y }) {
  const end = right - 26;
  const [low, middle, high] = [ahead.low, ahead.middle, ahead.high].map((value) => round(y(value)));
  const from = round(y(last.value));
  return [
    drawn("line", { class: "now", x1: round(now), x2: round(now), y1: EDGE.top, y2: bottom }),
    drawn("polygon", { class: "fan", points: `${round(now)},${from} ${end},${high} ${end},${low}` }),
    drawn("line", { class: "expected", x1: round(now), x2: end, y1: from, y2: middle }),
    drawn("path", { class: "interval", d: `M${end - 6} ${high}h12M${end - 6} ${low}h12M${end} ${high}V${low}` }),
    drawn("circle", { class: "middle", cx: end, cy: middle, r: 4.5 }),
  ];
}

/** Round numbers around two others, four or five of them. */
function niceTicks(low, high) {
  const space = high - low || Math.abs(high) || 1;
  const rough = space / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((each) => each * power >= rough);
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
