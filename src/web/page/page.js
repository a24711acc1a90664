// Asks the exporter once a second while somebody looks, and hands what it tells to the panels.

// Milliseconds between two questions, after a failure, and until a question is given up.
const EVERY = 1000;
const AFTER_FAILURE = 3000;
const PATIENCE = 10000;

const LEVELS = { working: "Working", impaired: "Impaired", failed: "Not working" };

const history = new History();
let pointed = null;
let paused = false;
let timer = null;
let asking = false;
// When the last answer came.
let received = Date.now();

const onPoint = (at) => {
  pointed = at;
  traffic.update(history, pointed);
  tellTime();
};
const traffic = new TrafficPanels(onPoint);
const panels = [new SocketsPanel(), new QueuesPanel(), new SightPanel(), new DigestsPanel()];

async function ask() {
  const response = await fetch("api/v1/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(response.status === 503 ? "it is busy with other requests" : `it answered ${response.status}`);
  return response.json();
}

async function poll() {
  timer = null;
  if (asking || paused || document.hidden) return;
  asking = true;
  const begun = performance.now();
  let answer = null;
  try {
    answer = await ask();
  } catch (error) {
    warn(error);
  }
  asking = false;
  schedule(Math.max((answer === null ? AFTER_FAILURE : EVERY) - (performance.now() - begun), 0));
  if (answer !== null) show(answer);
}

function schedule(milliseconds) {
  if (timer === null && !paused && !document.hidden) timer = setTimeout(poll, milliseconds);
}

function show(answer) {
  received = Date.now();
  const anew = history.add(answer);
  byId("warning").hidden = !anew;
  if (anew) write(byId("warning"), "The exporter was started anew: what is shown begins there.");
  document.body.classList.toggle("sampled", sampled(answer));
  showHealth(answer);
  traffic.update(history, pointed);
  panels.forEach((panel) => panel.update(history));
  tellTime();
}

// The one line that is read aloud when it changes; what it says of the moment comes from here, the rest from the exporter.
function showHealth({ health }) {
  const losing = history.points.at(-1).dropped > 0;
  const level = losing && health.level === "working" ? "impaired" : health.level;
  const line = byId("health");
  line.className = `health ${level}`;
  write(line.firstElementChild, `${LEVELS[level] ?? level}.`);
  write(line.lastElementChild, losing ? `${health.text} Packets are being lost now.` : health.text);
}

function tellTime() {
  const answer = history.last();
  if (!answer) return;
  const age = pointed === null ? 0 : answer.uptime_seconds - pointed;
  const clock = new Date(received - 1000 * age).toLocaleTimeString([], { hour12: false });
  write(byId("updated"), pointed === null ? `${paused ? "stopped at" : "live,"} ${clock}` : `at ${clock}`);
}

function warn(error) {
  const why = error.name === "TimeoutError" ? "it takes too long to answer" : error instanceof TypeError ? "no connection" : error.message;
  const since = history.last() ? ` since ${new Date(received).toLocaleTimeString([], { hour12: false })}` : "";
  write(byId("warning"), `The exporter tells nothing${since}: ${why}. Asking again.`);
  byId("warning").hidden = false;
}

byId("host").textContent = location.host;
document.title = `${location.host} – dbwire_exporter`;
byId("live").hidden = false;
byId("pause").addEventListener("click", () => {
  paused = !paused;
  write(byId("pause"), paused ? "Go on" : "Pause");
  tellTime();
  clearTimeout(timer);
  timer = null;
  schedule(0);
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  timer = null;
  schedule(0);
});
poll();
