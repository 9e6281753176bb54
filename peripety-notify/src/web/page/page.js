// Open incidents, live. All that comes from the machine becomes text of nodes, never markup.
"use strict";

const TOKEN = "peripety-token";
const SHOWN = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
const OVER_MAX = 20;
const WAIT = { first: 500, most: 30000 };

const at = (id) => document.getElementById(id);
const incidents = new Map();
let token = sessionStorage.getItem(TOKEN);
let cursor = null;
let wait = WAIT.first;
// Without it nobody knows whether anything is open.
let live = false;

function state(text, bad) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", Boolean(bad));
}

function isOpen(incident) {
  return incident.state === "open" || incident.state === "recovering";
}

function worseFirst(one, two) {
  const by = SHOWN.indexOf(one.incident.severity) - SHOWN.indexOf(two.incident.severity);
  return by || (one.incident.opened < two.incident.opened ? 1 : -1);
}

function place() {
  const open = [...incidents.values()].filter((one) => isOpen(one.incident)).sort(worseFirst);
  at("open").replaceChildren(...open.map((one) => one.element));
  at("none").hidden = open.length > 0 || !live;
  document.title = open.length ? `(${open.length}) Storage incidents` : "Storage incidents";
}

function node(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function time(text) {
  const made = node("time", new Date(text).toLocaleString());
  made.dateTime = text;
  return made;
}

function fact(list, name, ...values) {
  if (!values.some((value) => value)) return;
  const value = document.createElement("dd");
  value.append(...values);
  list.append(node("dt", name), value);
}

function words(text) {
  return text.replaceAll("_", " ");
}

function render(incident) {
  const article = document.createElement("article");
  article.className = incident.severity;
  const head = node("h2", incident.title);
  head.prepend(node("span", incident.severity, "severity"));
  const list = document.createElement("dl");
  const { cause, impact } = incident;
  const device = cause.device || {};
  const at = [device.path, device.model, device.serial && `serial ${device.serial}`, device.place];
  fact(list, "State", incident.acknowledged ? `${incident.state}, acknowledged` : incident.state);
  fact(list, "Since", time(incident.opened), ", latest ", time(incident.updated));
  if (incident.resolved) fact(list, "Over", time(incident.resolved), incident.resolved_by ? `, by ${incident.resolved_by}` : "");
  fact(list, "Cause", `${cause.name}: ${words(cause.kind)} (${cause.certainty})`);
  fact(list, "Device", at.filter(Boolean).join(", "));
  fact(list, "Hurt", impact.kinds.map(words).join(", "));
  fact(list, "Mounted at", (impact.mount_points || []).join(", "));
  fact(list, "Failures", `${incident.failures} in ${incident.event_count} event${incident.event_count === 1 ? "" : "s"}`);
  article.append(head, list);
  if (incident.actions && incident.actions.length) {
    const actions = document.createElement("ol");
    actions.append(...incident.actions.map((action) => node("li", action)));
    article.append(node("h3", "What to do"), actions);
  }
  article.append(node("p", `prpt explain ${incident.incident_id}`, "more"));
  return article;
}

function take(incident) {
  const known = incidents.get(incident.incident_id);
  if (known && known.incident.revision >= incident.revision) return;
  if (!known && !isOpen(incident)) return;
  const element = known ? known.element : document.createElement("div");
  element.className = known ? "one changed" : "one";
  element.replaceChildren(render(incident));
  incidents.set(incident.incident_id, { incident, element });
  if (!isOpen(incident)) {
    at("ended").prepend(element);
    at("over").hidden = false;
    while (at("ended").childElementCount > OVER_MAX) at("ended").lastElementChild.remove();
    incidents.delete(incident.incident_id);
  }
}

function numbers(message) {
  const lost = message.dropped + message.missed;
  at("numbers").textContent =
    `Revision ${message.sequence}; ${lost ? `${message.dropped} left out, ${message.missed} no longer to be had` : "none lost"}.`;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/stream`);
  let refused = false;
  socket.onopen = () => {
    const subscription = { version: 1, incidents: true };
    if (token) subscription.token = token;
    if (cursor) subscription.after = cursor;
    socket.send(JSON.stringify(subscription));
  };
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.cursor) cursor = message.cursor;
    if (message.incident) take(message.incident);
    if (message.gap) {
      at("gap").textContent = `Something may be missing: ${message.gap}.`;
      at("gap").hidden = false;
    }
    if (message.live) {
      live = true;
      wait = WAIT.first;
      state("Live");
    }
    if (message.disconnected) {
      live = false;
      state("peripetyd does not run; waiting for it", true);
    }
    if (message.error) {
      refused = /token/.test(message.error);
      state(message.error, true);
      at("ask").hidden = !refused;
    }
    if (message.sequence !== undefined) numbers(message);
    place();
  };
  socket.onclose = () => {
    live = false;
    place();
    if (refused) return;
    if (!at("state").classList.contains("bad")) state("The connection is lost; trying again", true);
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, WAIT.most);
  };
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  sessionStorage.setItem(TOKEN, token);
  at("ask").hidden = true;
  connect();
});

connect();
