// What was told so far, and the rates between two tellings. The exporter tells cumulative counts only and keeps no
// history: this is the only one there is, and it ends with the page.

// Seconds of points kept for the charts, and of whole answers kept for the tables.
const KEEP = 300;
const SPAN = 60;
// Seconds over which quantiles are taken: one alone holds too few statements.
const SMOOTH = 10;
// Answers further apart than this leave a hole in a chart.
const HOLE = 3;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

// A counter's increase; one that fell began anew. Null where one of the two is not known.
function increase(now, then) {
  if (now === undefined || then === undefined) return null;
  return now >= then ? now - then : now;
}

const statementsOf = (traffic) => sum(Object.values(traffic.statements).map((kind) => kind.count));
const errorsOf = (traffic) => sum(traffic.errors.map((errors) => errors.count));
const secondsOf = (traffic) => sum(Object.values(traffic.statements).map((kind) => kind.durations.sum_seconds));
const droppedOf = (capture) => sum(Object.values(capture.dropped));
const digestKey = (digest) => `${digest.digest} ${digest.schema}`;

// How many statements of the given kinds took how long between two answers: [index, count], ascending.
function durationsBetween(now, then, kinds) {
  const grown = new Map();
  const add = (index, count) => grown.set(index, (grown.get(index) ?? 0) + count);
  for (const kind of kinds) {
    const [after, before] = [now.statements[kind]?.durations, then.statements[kind]?.durations];
    if (!after) continue;
    const known = new Map(before?.buckets);
    for (const [index, count] of after.buckets) add(index, increase(count, known.get(index) ?? 0));
    add(-Infinity, increase(after.zeros, before?.zeros ?? 0));
  }
  return [...grown].sort(([one], [other]) => one - other);
}

// The duration that a part of the statements did not exceed: the middle of its bucket, which is 4.4 % wide. Null
// without statements.
function quantile(part, buckets) {
  const rank = part * sum(buckets.map(([, count]) => count));
  let below = 0;
  for (const [index, count] of buckets) {
    below += count;
    if (count > 0 && below >= rank) return 2 ** ((index - 0.5) / 16);
  }
  return null;
}

class History {
  // Whole answers, oldest first.
  answers = [];
  // What the charts show of each answer, oldest first.
  points = [];

  // Takes an answer; true if the exporter was started anew, so that nothing before it counts.
  add(answer) {
    const last = this.last();
    const anew = last !== undefined && answer.uptime_seconds < last.uptime_seconds;
    if (anew) this.answers = this.points = [];
    answer.digests = new Map(answer.mysql?.traffic?.digests.map((digest) => [digestKey(digest), digest]));
    this.answers = this.answers.filter((old) => old.uptime_seconds >= answer.uptime_seconds - SPAN - HOLE).concat(answer);
    const points = this.points.filter((old) => old.at >= answer.uptime_seconds - KEEP);
    this.points = points.concat(this.point(answer, anew ? undefined : last));
    return anew;
  }

  last() {
    return this.answers.at(-1);
  }

  // The seconds that charts show: at first a minute, then two, then all that is kept.
  window() {
    const span = this.points.at(-1).at - this.points[0].at;
    return span <= SPAN ? SPAN : span <= 2 * SPAN ? 2 * SPAN : KEEP;
  }

  // The answer `seconds` before the last one, or the oldest there is; undefined if there is but one.
  before(seconds) {
    const last = this.last();
    const older = this.answers.slice(0, -1);
    return older.findLast((answer) => answer.uptime_seconds <= last.uptime_seconds - seconds + 0.5) ?? older[0];
  }

  point(answer, last) {
    const at = answer.uptime_seconds;
    const elapsed = last === undefined ? 0 : at - last.uptime_seconds;
    const point = { at, hole: last === undefined || elapsed > HOLE, quantiles: [null, null, null] };
    point.states = answer.sockets?.[0]?.reading?.states ?? {};
    point.queues = new Map();
    for (const [namespace, listener] of listenersOf(answer)) point.queues.set(queueKey(namespace, listener), listener.queue);
    const [now, then] = [answer.mysql?.traffic, last?.mysql?.traffic];
    if (now && then && elapsed > 0) {
      point.statements = increase(statementsOf(now), statementsOf(then)) / elapsed;
      point.errors = increase(errorsOf(now), errorsOf(then)) / elapsed;
      point.dropped = increase(droppedOf(answer.mysql.capture), droppedOf(last.mysql.capture)) / elapsed;
      point.band = bandOf(answer, last, elapsed);
      const from = this.before(SMOOTH).mysql?.traffic ?? then;
      const durations = durationsBetween(now, from, Object.keys(now.statements));
      point.quantiles = [0.5, 0.95, 0.99].map((part) => quantile(part, durations));
    }
    return point;
  }

  // Increases a second over the last `seconds`, of what `counters` takes from an answer; null if not known.
  rate(seconds, counters) {
    const [last, then] = [this.last(), this.before(seconds)];
    if (then === undefined) return null;
    const [after, before] = [counters(last), counters(then)];
    if (after === undefined || before === undefined) return null;
    return increase(after, before) / (last.uptime_seconds - then.uptime_seconds);
  }
}

// The standard errors of the rates of statements and errors; null where they are not known.
function bandOf(answer, last, elapsed) {
  const [now, then] = [answer.mysql.sampling.standard_error, last.mysql.sampling.standard_error];
  if (!now || !then) return null;
  return { statements: increase(now.queries, then.queries) / elapsed, errors: increase(now.errors, then.errors) / elapsed };
}

// [namespace, listener] of every namespace.
const listenersOf = (answer) =>
  (answer.sockets ?? []).flatMap((one) => (one.reading?.listeners ?? []).map((listener) => [one.namespace, listener]));

const queueKey = (namespace, listener) => `${namespace ?? ""} ${endpoint(listener)}`;
