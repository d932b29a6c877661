// The fields of a domain's request, from their description.

import { element } from "./elements.js";

/** Put the fields of a request into their place. */
export function showFields(place, fields) {
  const inputs = new Map(fields.map((field) => [field.name, input(field)]));
  place.replaceChildren(...fields.map((field) => row(field, inputs.get(field.name))));
  for (const field of fields) {
    const other = inputs.get(field.limited_by);
    if (!other) continue;
    const limit = () => setLimits(inputs.get(field.name), field, other.value);
    other.addEventListener("change", limit);
    limit();
  }
}

/** The request that is filled in. */
export function readFields(place, fields) {
  return Object.fromEntries(fields.map((field) => [field.name, read(place.querySelector(`#field-${field.name}`), field)]));
}

function row(field, made) {
  const parts = [element("label", { for: made.id }, field.label), made];
  parts.push(element("p", { class: "note", id: `${made.id}-note` }, field.hint));
  return element("div", { class: field.kind === "text" ? "field long" : "field" }, ...parts);
}

function input(field) {
  const common = { id: `field-${field.name}`, required: true, "aria-describedby": `field-${field.name}-note` };
  if (field.kind === "text") return element("textarea", { ...common, rows: "5" });
  if (field.kind === "choice") {
    return element("select", common, ...field.choices.map((choice) => element("option", { value: choice }, choice)));
  }
  const type = { date: "date", time: "datetime-local" }[field.kind] ?? "text";
  return element("input", { ...common, type, autocomplete: "off", step: field.kind === "time" ? "1" : undefined });
}

function setLimits(made, field, value) {
  const limits = field.limits[value];
  if (!limits) return;
  const [first, last] = limits.map((limit) => limit.replace(/Z$/, ""));
  [made.min, made.max] = [first, last];
  // The newest, until somebody chooses: also where what was chosen is none of this one's.
  if (!made.value || made.value < first || made.value > last) made.value = last;
  document.getElementById(`${made.id}-note`).textContent = limits.map((limit) => limit.replace("T", " ").replace(/(:00)?Z$/, "")).join(" to ");
}

function read(made, field) {
  if (field.kind !== "time") return made.value;
  return `${made.value.length === 16 ? `${made.value}:00` : made.value}Z`;
}
