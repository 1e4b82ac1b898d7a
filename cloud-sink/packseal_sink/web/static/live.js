// Keeps an open page alive: fetches it again while something has changed, lets ages grow, and reads charts under the pointer.
"use strict";

const POLL_MS = 2000;
const LOST_AFTER = 2;
const STEPS = [[60, "s", 1], [3600, "min", 60], [86400, "h", 3600], [Infinity, "d", 86400]];

// The sink's clock minus ours: ages are what the sink would say.
let skewMs = 0;
let tag = "";
let failures = 0;

function age(seconds) {
  if (seconds < 1) return "now";
  const [, unit, size] = STEPS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / size)} ${unit}`;
}

function growAges() {
  const now = Date.now() + skewMs;
  for (const element of document.querySelectorAll("[data-since]")) {
    const text = age((now - Date.parse(element.dataset.since)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

function show(text, kind) {
  const live = document.getElementById("live");
  live.hidden = false;
  live.className = `pill ${kind}`;
  if (live.textContent !== text) live.textContent = text;
}

// Replaces the parts that differ, but not a chart that is being read; a link that has the focus keeps it.
function exchange(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!other || part.querySelector("[data-reading]") || part.innerHTML === other.innerHTML) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = other.innerHTML;
    if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  if (document.querySelectorAll("[data-live]").length !== fresh.querySelectorAll("[data-live]").length) {
    location.reload();
  }
}

async function refresh() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const response = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (response.status === 304) return;
  if (!response.ok) throw new Error(response.statusText);
  skewMs = Date.parse(response.headers.get("date")) + 500 - Date.now();
  exchange(new DOMParser().parseFromString(await response.text(), "text/html"));
  tag = response.headers.get("etag") || "";
}

async function poll() {
  if (!document.hidden) {
    try {
      await refresh();
      failures = 0;
      show("live", "live good");
    } catch {
      failures += 1;
      if (failures >= LOST_AFTER) show("sink not reachable", "bad");
    }
    growAges();
  }
  setTimeout(poll, POLL_MS);
}

// Under the pointer a chart tells its nearest stored value, fetched once.
const histories = new WeakMap();

async function historyOf(figure) {
  if (!histories.has(figure)) histories.set(figure, fetch(figure.dataset.history).then((r) => r.json()));
  return histories.get(figure);
}

function endReading(figure) {
  figure.removeAttribute("data-reading");
  figure.querySelector(".cursor")?.remove();
  const latest = figure.querySelector(".latest");
  if (latest.dataset.kept) latest.textContent = latest.dataset.kept;
}

async function read(event) {
  const svg = event.target.closest?.("[data-chart] svg");
  for (const figure of document.querySelectorAll("[data-reading]")) {
    if (!svg || !figure.contains(svg)) endReading(figure);
  }
  if (!svg) return;
  const figure = svg.closest("[data-chart]");
  const latest = figure.querySelector(".latest");
  latest.dataset.kept ||= latest.textContent;
  figure.dataset.reading = "yes";
  const history = await historyOf(figure);
  if (!figure.dataset.reading || !history.points.length) return;
  const box = svg.viewBox.baseVal;
  const bounds = svg.getBoundingClientRect();
  const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
  const times = history.points.map((p) => p.wall_ms);
  const start = Math.min(...times), end = Math.max(...times);
  const x = ((event.clientX - bounds.left) / bounds.width) * box.width;
  const wanted = start + ((x - left) / (right - left)) * (end - start);
  const near = history.points.reduce((a, b) => (Math.abs(b.wall_ms - wanted) < Math.abs(a.wall_ms - wanted) ? b : a));
  const at = end > start ? left + ((near.wall_ms - start) / (end - start)) * (right - left) : (left + right) / 2;
  const unit = history.unit === "1" ? "" : ` ${history.unit}`;
  latest.textContent = `${near.value.toFixed(history.decimals)}${unit} at ${near.time.slice(0, 10)} ${near.time.slice(11, 19)}Z`;
  let cursor = svg.querySelector(".cursor");
  if (!cursor) {
    cursor = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "line"));
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", svg.dataset.top);
    cursor.setAttribute("y2", svg.dataset.bottom);
  }
  cursor.setAttribute("x1", String(at));
  cursor.setAttribute("x2", String(at));
}

document.addEventListener("pointermove", read);
setInterval(growAges, 1000);
poll();
