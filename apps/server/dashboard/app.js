// SPDX-License-Identifier: MIT
// The dashboard: what the API says, as elements of the page. Text from sites is set as text, never as HTML.
"use strict";

const find = (id) => document.getElementById(id);
const live_rows = 50;
const crawls_shown = new Map();
let current = null;
let source = null;
let broken_timer = null;
let fragments_known = null;  // of which crawl
let older_than = null;

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) made[key] = value;
  made.append(...children);
  return made;
}

async function ask(path, options = {}) {
  const response = await fetch(path, options);
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { /* not every error is of the API */ }
  if (!response.ok) throw new Error(answer.detail || answer.title || `the server answered ${response.status}`);
  return answer;
}

const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
};
const time = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);
const link = (url) => {
  const safe = /^https?:\/\//.test(url);
  return safe ? element("a", { href: url, textContent: url, rel: "noreferrer", target: "_blank" }) : element("span", { textContent: url });
};
const state_class = { done: "good", failed: "bad", cancelled: "bad", running: "busy", queued: "busy" };

// The words found stand between these two.
function marked(text) {
  const span = element("span");
  for (const [index, part] of text.split(/[⟦⟧]/).entries()) {
    span.append(index % 2 ? element("mark", { textContent: part }) : part);
  }
  return span;
}

// --- the list of crawls -------------------------------------------------------

function fill_crawl_row(row, crawl) {
  const begun = new Date(crawl.created_at);
  row.replaceChildren(
    element("td", {}, element("a", { href: `#${crawl.id}`, textContent: crawl.id })),
    element("td", { className: "url", textContent: crawl.urls.join(" ") }),
    element("td", { className: state_class[crawl.state] || "", textContent: crawl.state }),
    element("td", { className: "number", textContent: crawl.done + crawl.failed }),
    element("td", { className: "number", textContent: crawl.waiting }),
    element("td", { textContent: begun.toLocaleString() }));
}

function show_crawl(crawl, at_end) {
  let row = crawls_shown.get(crawl.id);
  if (!row) {
    row = element("tr", { onclick: () => { location.hash = crawl.id; } });
    crawls_shown.set(crawl.id, row);
    const body = find("crawls").tBodies[0];
    if (at_end) body.append(row); else body.prepend(row);
  }
  fill_crawl_row(row, crawl);
  row.setAttribute("aria-current", String(crawl.id) === current);
  find("crawls").hidden = false;
  find("no-crawls").hidden = true;
}

async function load_crawls(after) {
  const list = await ask(`/api/crawls?limit=20${after ? `&after=${after}` : ""}`);
  if (after || crawls_shown.size === 0) {
    list.items.forEach((crawl) => show_crawl(crawl, true));
    older_than = list.next;
    find("more-crawls").hidden = !older_than;
  } else {
    list.items.slice().reverse().forEach((crawl) => show_crawl(crawl, false));
  }
}

// --- one crawl ----------------------------------------------------------------

function show_progress(crawl) {
  const state = find("crawl-state");
  state.textContent = crawl.state;
  state.className = `state ${state_class[crawl.state] || ""}`;
  find("crawl-error").textContent = crawl.error;
  for (const name of ["done", "failed", "disallowed", "waiting"]) find(`figure-${name}`).textContent = crawl[name];
  find("figure-bytes").textContent = size(crawl.bytes);
  const over = !["queued", "running"].includes(crawl.state);
  const seen = crawl.done + crawl.failed + crawl.disallowed;
  const bar = find("crawl-progress");
  bar.max = Math.max(1, seen + crawl.waiting);
  bar.value = over ? bar.max : seen;
  find("cancel").hidden = over;
}

function show_page(page) {
  const bad = page.state === "failed" || page.status >= 400;
  const row = element("tr", {},
    element("td", { className: bad ? "bad" : "good", textContent: page.status || page.state }),
    element("td", { className: "url" }, link(page.url), page.title ? element("div", { className: "muted", textContent: page.title }) : "",
      page.error ? element("div", { className: "bad", textContent: page.error }) : ""),
    element("td", { className: "number", textContent: time(page.elapsed_ms) }),
    element("td", { className: "number", textContent: size(page.size) }));
  const body = find("live").tBodies[0];
  body.prepend(row);
  while (body.rows.length > live_rows) body.deleteRow(-1);
  if (bad) load_broken_soon();
}

function broken_item(item) {
  const entry = element("li", {}, element("span", { className: "bad", textContent: `${item.reason} ` }), link(item.url));
  for (const from of item.referrers) {
    const words = from.text ? ` “${from.text}”` : "";
    const line = from.line ? `, line ${from.line}` : "";
    entry.append(element("div", { className: "sub" }, "linked from ", link(from.url), `${line}${words}`));
  }
  if (item.referrer_count > item.referrers.length) {
    entry.append(element("div", { className: "sub", textContent: `and from ${item.referrer_count - item.referrers.length} other places` }));
  }
  return entry;
}

// Fragments take a look at all links, so they are asked for once the crawl is over.
async function load_broken(over) {
  const id = current;
  const [links, fragments] = await Promise.all([
    ask(`/api/crawls/${id}/broken?limit=500`),
    over ? ask(`/api/crawls/${id}/broken-fragments?limit=500`) : { items: [] }]);
  if (id !== current || (!over && fragments_known === id)) return;
  if (over) fragments_known = id;
  const items = [...links.items, ...fragments.items];
  find("broken").replaceChildren(...items.map(broken_item));
  find("no-broken").hidden = items.length > 0;
  find("figure-broken").textContent = items.length;
}

// Not once for every broken page of a site that has many.
function load_broken_soon() {
  if (broken_timer) return;
  broken_timer = setTimeout(() => { broken_timer = null; load_broken(false).catch(() => {}); }, 500);
}

function listen(id) {
  if (source) source.close();
  source = new EventSource(`/api/crawls/${id}/events`);
  source.addEventListener("progress", (event) => show_progress(JSON.parse(event.data)));
  source.addEventListener("page", (event) => show_page(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    clearTimeout(broken_timer);
    broken_timer = null;
    load_broken(true).catch(() => {});
    load_crawls().catch(() => {});
  });
}

async function open_crawl(id) {
  current = id;
  fragments_known = null;
  const crawl = await ask(`/api/crawls/${id}`);
  find("everywhere").hidden = true;
  find("crawl").hidden = false;
  find("crawl-title").textContent = `Crawl ${crawl.id}: ${crawl.urls.join(" ")}`;
  find("live").tBodies[0].replaceChildren();
  find("broken").replaceChildren();
  find("results").replaceChildren();
  find("search-note").textContent = "";
  for (const [shown, row] of crawls_shown) row.setAttribute("aria-current", String(shown) === id);
  show_crawl(crawl, false);
  show_progress(crawl);
  listen(id);
  await load_broken(false);
}

// --- search -------------------------------------------------------------------

async function search(path, question, list, note, with_crawl) {
  try {
    const found = await ask(`${path}?q=${encodeURIComponent(question)}`);
    list.replaceChildren(...found.items.map((item) => element("li", {},
      element("div", {}, item.title ? element("strong", { textContent: `${item.title} ` }) : "", link(item.url)),
      element("div", { className: "sub" }, marked(item.snippet)),
      with_crawl ? element("div", { className: "sub" }, element("a", { href: `#${item.crawl_id}`, textContent: `crawl ${item.crawl_id}` })) : "")));
    note.textContent = found.items.length === 1 ? "1 page" : `${found.items.length} pages`;
  } catch (error) {
    list.replaceChildren();
    note.textContent = error.message;
  }
}

// --- what a person does -------------------------------------------------------

find("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target.elements;
  let url = form.url.value.trim();
  if (!/^[a-z][a-z0-9+.-]*:/i.test(url) || /^[^/]+:\d+(\/|$)/.test(url)) url = `http://${url}`;
  const wanted = { url };
  for (const name of ["max_pages", "depth", "concurrency", "delay_ms"]) wanted[name] = Number(form[name].value);
  for (const name of ["same_site", "check_external", "ignore_robots"]) wanted[name] = form[name].checked;
  find("start-error").textContent = "";
  try {
    const crawl = await ask("/api/crawls", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted) });
    show_crawl(crawl, false);
    location.hash = crawl.id;
  } catch (error) {
    find("start-error").textContent = error.message;
  }
});

find("cancel").addEventListener("click", () => {
  ask(`/api/crawls/${current}`, { method: "DELETE" }).catch((error) => { find("crawl-error").textContent = error.message; });
});

find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(`/api/crawls/${current}/search`, event.target.elements.q.value, find("results"), find("search-note"), false);
});

find("search-all").addEventListener("submit", (event) => {
  event.preventDefault();
  find("everywhere").hidden = false;
  search("/api/search", event.target.elements.q.value, find("everywhere-results"), find("everywhere-note"), true);
});

find("more-crawls").addEventListener("click", () => load_crawls(older_than).catch(() => {}));

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => {
    for (const each of document.querySelectorAll("[role=tab]")) {
      each.setAttribute("aria-selected", each === tab);
      find(`panel-${each.dataset.panel}`).hidden = each !== tab;
    }
  });
}

function follow_address() {
  const id = location.hash.slice(1);
  if (/^\d+$/.test(id)) {
    open_crawl(id).catch((error) => {
      find("crawl").hidden = false;
      find("crawl-title").textContent = error.message;
    });
  }
}
window.addEventListener("hashchange", follow_address);
load_crawls().catch((error) => { find("no-crawls").textContent = error.message; }).then(follow_address);
setInterval(() => load_crawls().catch(() => {}), 5000);
