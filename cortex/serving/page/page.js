// The page: an API key where one is asked for, a domain, a request, and its answer.

import { showAnswer } from "./answer.js";
import { element } from "./elements.js";
import { readFields, showFields } from "./form.js";

const KEY = "cortex-api-key";
const at = (id) => document.getElementById(id);
let offers = [];
let asking = false;

/** What the gateway answers to a request. Throws an error with its message and status. */
async function fetched(path, body) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const options = body === undefined ? { headers } : { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The gateway does not answer.");
  }
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  const wait = answer.headers.get("Retry-After");
  const message = found.error?.message ?? `The gateway answered with ${answer.status}.`;
  const error = new Error(wait ? `${message} (in ${wait} s)` : message);
  error.status = answer.status;
  throw error;
}

function say(status, error = "") {
  at("status").textContent = status;
  at("error").textContent = error;
}

async function begin() {
  try {
    offers = await fetched("/v1/domains");
  } catch (error) {
    failed(error);
    return;
  }
  say("");
  at("keys").hidden = true;
  at("ask").hidden = false;
  at("forget").hidden = !sessionStorage.getItem(KEY);
  const one = new Set(offers.map((offer) => offer.model)).size < 2;
  const named = (offer) => (one || offer.model === null ? offer.domain : `${offer.domain}, ${offer.model}`);
  const names = offers.map((offer, index) => element("option", { value: index }, named(offer)));
  at("domain").replaceChildren(...names);
  choose();
}

function failed(error) {
  if (error.status !== 401) {
    say("", error.message);
    return;
  }
  // Of a key that does not count, say so; before there was one, only ask for it.
  say("", sessionStorage.getItem(KEY) ? "This API key does not count." : "");
  sessionStorage.removeItem(KEY);
  at("ask").hidden = at("answer").hidden = true;
  at("keys").hidden = false;
  at("key").focus();
}

function choose() {
  showFields(at("fields"), offers[Number(at("domain").value)].fields);
  at("answer").hidden = true;
}

async function ask() {
  if (asking) return;
  asking = true;
  at("ask").setAttribute("aria-busy", "true");
  say("Asking the model…");
  const offer = offers[Number(at("domain").value)];
  try {
    const request = readFields(at("fields"), offer.fields);
    const model = offer.model === null ? "" : `&model=${encodeURIComponent(offer.model)}`;
    const answered = await fetched(`${offer.path}?view=true${model}`, request);
    showAnswer(at("answer"), answered);
    say(answered.abstained ? "The model's answer is held back." : "The model has answered.");
  } catch (error) {
    at("answer").hidden = true;
    failed(error);
  } finally {
    asking = false;
    at("ask").removeAttribute("aria-busy");
  }
}

at("keys").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value.trim());
  at("key").value = "";
  begin();
});
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
at("domain").addEventListener("change", choose);
at("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
begin();
