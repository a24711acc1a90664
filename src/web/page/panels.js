// The panels but that of the heaviest statements: what each shows of the history.

const byId = (id) => document.getElementById(id);

// Rows of the small tables, as without JavaScript.
const ROWS = 5;

// What the commonest errors mean (MySQL's "Server Error Message Reference"); all others show their SQLSTATE.
const ERRORS = {
  1040: "too many connections", 1044: "no access to the schema", 1045: "login denied", 1048: "column cannot be null",
  1049: "unknown schema", 1054: "unknown column", 1062: "duplicate key", 1064: "syntax error", 1142: "no permission",
  1146: "no such table", 1149: "syntax error", 1203: "too many connections of the user", 1205: "lock wait timeout",
  1213: "deadlock", 1226: "the user's limit is reached", 1290: "server is read-only", 1317: "query interrupted",
  1364: "field has no default", 1366: "incorrect value", 1406: "data too long", 1451: "foreign key: row is in use",
  1452: "foreign key: no such row", 1836: "server is read-only", 1969: "statement timeout", 2006: "server has gone",
  3024: "statement timeout", 3572: "lock not available",
};

const perSecond = (value) => `${count(value)}/s`;

const sampled = (answer) => answer.mysql !== null && answer.mysql.sampling.multiplier !== 1;

// What stands before an estimate.
const approximately = (answer) => (sampled(answer) ? `≈${GAP}` : "");

// Why there is no statement to show.
const whyNothing = ({ error, note }) => (error ? `MySQL is not captured: ${error}.` : note ?? "No statement yet.");

// A number and its unit, large; estimates are marked, with their standard error where it is known.
function figure(node, parts, answer) {
  const mark = approximately(answer);
  const texts = parts.map(({ value, unit, band }) => [value === DASH ? value : mark + value, band ? `±${share(band)} ${unit}` : unit]);
  if (node.childElementCount !== parts.length) {
    node.replaceChildren(...parts.map(({ key }) => element("span", {}, ...(key ? [lineKey(key), " "] : []), element("b"), " ", element("small"))));
  }
  texts.forEach(([value, unit], place) => {
    write(node.children[place].querySelector("b"), value);
    write(node.children[place].querySelector("small"), unit);
  });
}

// A piece of a chart's line, to tell which is which.
const lineKey = (style) =>
  svg("svg", { class: "key", viewBox: "0 0 22 10", "aria-hidden": "true" }, svg("path", { class: style, d: "M0 5H22" }));

// The least, mean and greatest of what is known, for those who hear the page.
function inWords(what, points, value, format) {
  const known = points.map(value).filter((number) => number !== null && number !== undefined);
  if (known.length === 0) return `${what}: nothing to draw yet.`;
  const span = duration(points.at(-1).at - points[0].at);
  return `${what} in the last ${span}: now ${format(known.at(-1))}, least ${format(Math.min(...known))}, greatest ${format(Math.max(...known))}.`;
}

class TrafficPanels {
  constructor(onPoint) {
    this.charts = [
      new Chart(byId("statements-chart"), {
        lines: [{ style: "s1", wash: "wash", value: (point) => point.statements, band: (point) => point.band?.statements ?? null }],
        scale: linear, format: count, onPoint,
        describe: (points) => inWords("Statements a second", points, (point) => point.statements, count),
      }),
      new Chart(byId("errors-chart"), {
        lines: [{ style: "bad", wash: "wash of-bad", value: (point) => point.errors, band: (point) => point.band?.errors ?? null }],
        scale: linear, format: count, onPoint,
        describe: (points) => inWords("Errors a second", points, (point) => point.errors, count),
      }),
      new Chart(byId("latency-chart"), {
        lines: ["s1", "s2", "s3"].map((style, place) => ({ style, value: (point) => point.quantiles[place] })),
        scale: logarithmic, format: time, onPoint,
        describe: (points) => inWords("95th percentile of the latency", points, (point) => point.quantiles[1], time),
      }),
    ];
  }

  update(history, pointed) {
    const { mysql } = history.last();
    if (mysql === null) return;
    const any = mysql.traffic !== null && statementsOf(mysql.traffic) > 0;
    this.reason = whyNothing(mysql);
    this.draw(history, pointed, any);
    this.total("statements-total", any && statementsOf(mysql.traffic), history.last());
    this.total("errors-total", any && errorsOf(mysql.traffic), history.last());
    this.kinds(history, any);
    this.codes(history, any);
    this.latencies(history, any);
  }

  draw(history, pointed, any) {
    for (const id of ["statements-now", "errors-now", "latency-now"]) byId(id).hidden = !any;
    if (!any) return this.charts.forEach((chart) => chart.hide());
    this.charts.forEach((chart) => chart.update({ points: history.points, window: history.window() }, pointed));
    const answer = history.last();
    const point = history.points.find((point) => point.at === pointed) ?? history.points.at(-1);
    figure(byId("statements-now"), [{ value: count(point.statements), unit: "a second", band: relative(point, "statements") }], answer);
    figure(byId("errors-now"), [{ value: count(point.errors), unit: "a second", band: relative(point, "errors") }], answer);
    figure(byId("latency-now"), ["p50", "p95", "p99"].map((unit, place) => ({ value: time(point.quantiles[place]), unit, key: `s${place + 1}` })), answer);
  }

  total(id, number, answer) {
    write(byId(id), number === false ? "" : `${approximately(answer)}${count(Math.round(number))} since the start`);
  }

  kinds(history, any) {
    if (!any) return this.empty("statements-kinds", this.reason);
    const { statements } = history.last().mysql.traffic;
    const rows = Object.entries(statements).map(([kind, { count }]) => {
      const rate = history.rate(SMOOTH, (answer) => countOf(answer, kind));
      return [kind, { kind, rate, total: count }];
    });
    this.table("statements-kinds", [
      { title: "kind", heads: true, words: true, text: (row) => row.kind },
      { title: "a second", estimate: true, text: (row) => count(row.rate) },
      { title: "since the start", estimate: true, text: (row) => count(Math.round(row.total)) },
    ]).update(heaviest(rows, (row) => row.total));
  }

  codes(history, any) {
    if (!any) return this.empty("errors-codes", this.reason);
    const rows = history.last().mysql.traffic.errors.filter((errors) => errors.count > 0).map((errors) => {
      const rate = history.rate(SMOOTH, (answer) => errorsOfCode(answer, errors));
      return [`${errors.code} ${errors.sqlstate}`, { ...errors, rate }];
    });
    if (rows.length === 0) return this.empty("errors-codes", "No server has answered with an error.");
    this.table("errors-codes", [
      { title: "code", heads: true, words: true, text: (row) => String(row.code ?? "others") },
      { title: "meaning", words: true, text: (row) => ERRORS[row.code] ?? (row.sqlstate ? `SQLSTATE ${row.sqlstate}` : DASH) },
      { title: "a second", estimate: true, text: (row) => count(row.rate) },
      { title: "since the start", estimate: true, text: (row) => count(Math.round(row.count)) },
    ]).update(heaviest(rows, (row) => row.count));
  }

  latencies(history, any) {
    if (!any) return this.empty("latency-kinds", this.reason);
    const then = history.before(SPAN);
    if (!then?.mysql?.traffic) return;
    const [now, before] = [history.last().mysql.traffic, then.mysql.traffic];
    const rows = Object.entries(now.statements).map(([kind, { count }]) => {
      const durations = durationsBetween(now, before, [kind]);
      return [kind, { kind, count, quantiles: [0.5, 0.95, 0.99].map((part) => quantile(part, durations)) }];
    });
    const column = (title, place) => ({ title, text: (row) => time(row.quantiles[place]) });
    this.table("latency-kinds", [
      { title: "kind, last minute", heads: true, words: true, text: (row) => row.kind },
      column("p50", 0), column("p95", 1), column("p99", 2),
    ]).update(heaviest(rows, (row) => row.count));
  }

  tables = {};

  table(id, columns) {
    const table = (this.tables[id] ??= new Table(byId(id), columns));
    table.columns = columns;
    return table;
  }

  empty(id, reason) {
    delete this.tables[id];
    sayEmpty(byId(id), reason);
  }
}

// Puts words in the place of a table.
function sayEmpty(node, reason) {
  if (node.firstElementChild?.className !== "empty") node.replaceChildren(element("p", { className: "empty" }));
  write(node.firstElementChild, reason);
}

const relative = (point, what) => (point.band && point[what] > 0 ? point.band[what] / point[what] : null);
const heaviest = (rows, weight) => rows.sort(([, one], [, other]) => weight(other) - weight(one)).slice(0, ROWS);

// A kind that is left out was not seen yet.
const countOf = (answer, kind) => {
  const traffic = answer.mysql?.traffic;
  return traffic ? traffic.statements[kind]?.count ?? 0 : undefined;
};
const errorsOfCode = (answer, { code, sqlstate }) => {
  const traffic = answer.mysql?.traffic;
  return traffic ? traffic.errors.find((errors) => errors.code === code && errors.sqlstate === sqlstate)?.count ?? 0 : undefined;
};

// Seconds after which counts of sockets are old: they are read each second unless that costs too much.
const OLD = 5;

class SocketsPanel {
  update(history) {
    const { sockets } = history.last();
    if (sockets === null) return;
    const own = sockets[0];
    if (!own?.reading) return sayEmpty(byId("sockets-states"), own?.error ? `Not counted: ${own.error}.` : "Not counted yet.");
    const { source, age_seconds: age, read_seconds: cost } = own.reading;
    write(byId("sockets-read"), age > OLD ? `${source}, ${duration(age)} old` : `${source}, ${time(cost)} a read`);
    const others = sockets.slice(1).filter((one) => one.reading !== null);
    this.table ??= new Table(byId("sockets-states"), [
      { title: "state", heads: true, words: true, text: (row) => words(row.state) },
      spark("trend"),
      { title: "now", text: (row) => count(row.now) },
      ...others.map((one, place) => ({ title: one.namespace, text: (row) => count(row.others[place]) })),
    ]);
    const rows = Object.entries(own.reading.states).map(([state, now]) => {
      const line = history.points.map((point) => [state in point.states, point.states[state]]);
      return [state, { state, now, others: others.map((one) => one.reading.states[state]), line: lineOf(history, line), window: history.window() }];
    });
    this.table.update(rows);
  }
}

// The column of sparklines.
const spark = (title) => ({
  title, drawn: true,
  make: () => {
    const spark = new Spark();
    return Object.assign(spark.picture, { spark });
  },
  fill: (picture, row) => picture.spark.update(row.line, row.window),
});

// [known, value] of each point, as a sparkline wants it.
const lineOf = (history, values) => {
  const now = history.points.at(-1).at;
  return values.flatMap(([known, value], place) => {
    const point = history.points[place];
    const entry = known ? [now - point.at, value] : null;
    return point.hole ? [null, entry] : [entry];
  });
};

class QueuesPanel {
  update(history) {
    const answer = history.last();
    if (answer.sockets === null) return;
    const listeners = listenersOf(answer);
    if (listeners.length === 0) {
      const read = answer.sockets.some((one) => one.reading !== null);
      return sayEmpty(byId("queues"), read ? "Nothing listens here." : "Not counted yet.");
    }
    const rows = listeners.map(([namespace, listener]) => {
      const key = queueKey(namespace, listener);
      const line = lineOf(history, history.points.map((point) => [point.queues.has(key), point.queues.get(key)]));
      return [key, { ...listener, namespace, line, window: history.window(), fill: listener.limit === null ? null : listener.queue / listener.limit }];
    });
    rows.sort(([, one], [, other]) => other.fill - one.fill || other.queue - one.queue || one.port - other.port);
    if (!this.table) this.make();
    const shown = rows.slice(0, 8);
    this.table.update(shown);
    write(this.note, this.words(rows.length - shown.length, history));
  }

  make() {
    const place = element("div");
    this.note = element("p", { className: "note" });
    byId("queues").replaceChildren(place, this.note);
    this.table = new Table(place, [
      { title: "listens on", heads: true, words: true, text: (row) => (row.namespace ? `${row.namespace}: ` : "") + endpoint(row) },
      spark("trend"),
      { title: "fill", make: bar, fill: (node, row) => fillBar(node, row.fill) },
      { title: "waiting", text: (row) => count(row.queue) },
      { title: "of at most", text: (row) => count(row.limit) },
    ], "queues");
  }

  words(more, history) {
    const kernel = history.last().sockets[0]?.reading?.kernel;
    const rest = history.last().sockets[0]?.reading?.listeners_not_shown ?? 0;
    const others = more + rest > 0 ? `${more + rest} more are less full. ` : "";
    if (!kernel) return others;
    const rate = history.rate(SPAN, (answer) => answer.sockets?.[0]?.reading?.kernel?.listen_drops);
    return `${others}Refused because a queue was full: ${count(kernel.listen_overflows)} since boot; dropped: ${count(kernel.listen_drops)}, ${count(rate)} a second.`;
  }
}

class SightPanel {
  update(history) {
    const { mysql } = history.last();
    if (mysql === null) return;
    const { capture } = mysql;
    const rows = this.rows(history, mysql);
    if (!this.values) this.make(rows);
    write(this.text, capture === null ? whyNothing(mysql) : mysql.sampling.text);
    rows.forEach(([, value, more], place) => {
      write(this.values[place].firstChild, value);
      write(this.values[place].lastChild, more ?? "");
    });
  }

  make(rows) {
    this.text = element("p", { className: "note" });
    this.values = rows.map(() => element("dd", {}, element("span"), " ", element("small")));
    const list = rows.flatMap(([name], place) => [element("dt", {}, name), this.values[place]]);
    byId("sight").replaceChildren(this.text, element("dl", {}, ...list));
  }

  error(sampling, band) {
    if (sampling.multiplier === 1) return ["none", "nothing is estimated"];
    if (band === null) return [DASH, sampling.standard_error === null ? "not known unless it is measured" : "no statement to tell it of"];
    const from = sampling.effective_size === null ? "" : `, as of ${count(sampling.effective_size)} like connections`;
    return [`±${share(band)}`, `of the statements${from}`];
  }

  // [name, value, remark]
  rows(history, { sampling, traffic, capture }) {
    const measured = sampling.measured_multiplier === null ? "not measured" : `measured ${count(sampling.measured_multiplier)}`;
    const band = relative(history.points.at(-1), "statements");
    const connections = traffic?.connections;
    const all = connections ? sum(Object.values(connections)) : null;
    const rate = (counter) => history.rate(SPAN, (answer) => (answer.mysql?.capture ? counter(answer.mysql.capture) : undefined));
    const dropped = capture && droppedOf(capture);
    const undecoded = capture && sum(Object.values(capture.undecoded));
    const limits = Object.entries(capture?.limit_hits ?? {});
    return [
      ["Sample", sampling.bits === 0 ? "all connections" : `1 in ${2 ** sampling.bits}`, `N = ${sampling.bits}`],
      ["Multiplier", count(sampling.multiplier), `nominal ${count(sampling.nominal_multiplier)}, ${measured}`],
      ["Standard error", ...this.error(sampling, band)],
      ["Connections", count(connections?.decoded), connections ? `decoded, ${count(connections.compressed)} of them compressed` : ""],
      ["Not readable", count(connections?.tls), connections ? `inside TLS (${all > 0 ? share(connections.tls / all) : "0%"}); ${count(connections.unknown)} not understood` : ""],
      ["Packets", capture ? `${count(rate((c) => c.packets))}/s` : DASH, capture ? `${count(capture.packets)} since the start` : "the capture was never up"],
      ["Packets lost", count(dropped), capture ? `since the start, ${count(rate(droppedOf))} a second` : ""],
      ["Holes in streams", count(capture?.gaps), undecoded ? `${count(undecoded)} packets not decodable` : ""],
      ["Limits hit", capture ? count(sum(limits.map(([, hits]) => hits))) : DASH, limits.map(([name, hits]) => `${words(name)} ${count(hits)}`).join(", ")],
      ["CPU of the capture", share(rate((c) => c.cpu_seconds)), capture ? "of one, last minute" : ""],
    ];
  }
}
