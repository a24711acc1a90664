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
// Whether the last question was not answered.
let failing = false;
// Whether it was started anew while it was looked at, a short while ago.
let restarted = false;
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
  // Who stopped it looks at what stands there.
  if (answer !== null && !paused) show(answer);
}

function schedule(milliseconds) {
  if (timer === null && !paused && !document.hidden) timer = setTimeout(poll, milliseconds);
}

function show(answer) {
  received = Date.now();
  failing = false;
  restarted = history.add(answer) || (restarted && answer.uptime_seconds < SPAN);
  byId("warning").hidden = !restarted;
  if (restarted) write(byId("warning"), `The exporter was started anew at ${clock(received - 1000 * answer.uptime_seconds)}: what is shown begins there.`);
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

const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString([], { hour12: false });

function tellTime() {
  const answer = history.last();
  if (!answer) return;
  const age = pointed === null ? 0 : answer.uptime_seconds - pointed;
  const what = pointed !== null ? "at" : failing ? "last answer" : paused ? "stopped at" : "live,";
  write(byId("updated"), `${what} ${clock(received - 1000 * age)}`);
}

function warn(error) {
  failing = true;
  const why = error.name === "TimeoutError" ? "it takes too long to answer" : error instanceof TypeError ? "no connection" : error.message;
  const since = history.last() ? ` since ${clock(received)}` : "";
  write(byId("warning"), `The exporter tells nothing${since}: ${why}. What is below is old. Asking again.`);
  byId("warning").hidden = false;
  const line = byId("health");
  line.className = "health failed";
  write(line.firstElementChild, "No answer.");
  write(line.lastElementChild, "");
  tellTime();
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
