// The heaviest statements, in the order somebody wants.

// Rows at first, and the seconds between two changes of their order: a table that moves cannot be read.
const FIRST_ROWS = 20;
const REORDER = 3;

// Why there are dashes where the 95th percentile would be.
const NO_P95 = "The 95th percentile is known of kinds of statements only, not of each.";

class DigestsPanel {
  sortedBy = "share";
  descending = true;
  all = false;
  reordered = -Infinity;

  update(history) {
    const answer = history.last();
    const traffic = answer.mysql?.traffic;
    if (!traffic) return;
    if (traffic.digests.length === 0) {
      this.table = undefined;
      return sayEmpty(byId("digests"), noDigests(answer.mysql));
    }
    if (!this.table) this.make(history);
    const then = history.before(SPAN);
    if (then === undefined) return;
    this.history = history;
    this.span = answer.uptime_seconds - then.uptime_seconds;
    write(byId("digests-span"), `rates of the last ${duration(Math.round(this.span))}${sampled(answer) ? ", estimated" : ""}`);
    this.show(false);
  }

  // Brings the rows up to date; their order only if `now`, or if it is time and nobody points at a row.
  show(now) {
    const rows = this.rows();
    const value = ([, row]) => row[this.sortedBy] ?? -1;
    const order = this.descending ? 1 : -1;
    if (this.sortedBy === "text") rows.sort(([, one], [, other]) => order * other.text.localeCompare(one.text));
    else rows.sort((one, other) => order * (value(other) - value(one)));
    const busy = this.table.body.matches(":hover") || this.table.body.contains(document.activeElement);
    const at = this.history.last().uptime_seconds;
    const reorder = now || (!busy && at - this.reordered >= REORDER);
    if (reorder) this.reordered = at;
    // Between two changes of the order the rows are those of the last one.
    const shown = this.all ? rows : rows.slice(0, FIRST_ROWS);
    const kept = reorder || this.table.rows.size === 0 ? shown : rows.filter(([key]) => this.table.rows.has(key));
    this.table.update(kept, !reorder);
    write(this.note, rows.every(([, row]) => row.p95 === null) ? NO_P95 : "");
    this.more.hidden = rows.length <= FIRST_ROWS;
    write(this.more, this.all ? `Show the first ${FIRST_ROWS} only` : `Show all ${rows.length}`);
  }

  rows() {
    const last = this.history.last();
    const { answers } = this.history;
    // Of all time that statements took, those without a row of their own included.
    const total = this.history.rate(SPAN, (answer) => answer.mysql?.traffic && secondsOf(answer.mysql.traffic));
    return [...last.digests].map(([key, digest]) => {
      // A digest may have come later than the oldest answer.
      const first = answers.find((answer) => answer.digests.has(key));
      const elapsed = last.uptime_seconds - first.uptime_seconds;
      const before = first.digests.get(key);
      const grown = (name) => (elapsed > 0 ? increase(digest[name], before[name]) : null);
      const [queries, seconds, returned, affected] = ["queries", "seconds", "rows_returned", "rows_affected"].map(grown);
      const rate = (value) => (value === null ? null : value / elapsed);
      return [key, {
        text: digest.text ?? "text not known", schema: digest.schema, id: digest.digest,
        share: total > 0 && seconds !== null ? rate(seconds) / total : total === null || seconds === null ? null : 0,
        rate: rate(queries), p95: digest.p95_seconds, mean: queries > 0 ? seconds / queries : null,
        errors: rate(grown("errors")), rows: queries === null ? null : rate(returned + affected),
        line: rateLine(answers, key), window: SPAN,
      }];
    });
  }

  make() {
    const scroll = element("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": "Table of statements" });
    this.more = element("button", { type: "button", className: "more" });
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.show(true);
    });
    this.note = element("p", { className: "note" });
    byId("digests").replaceChildren(scroll, this.note, this.more);
    this.table = new Table(scroll, [
      { key: "text", title: "statement", heads: true, words: true, make: statement },
      { key: "share", title: "share of time", wide: true, make: shareCell, fill: fillShare },
      { ...spark("last minute"), wide: true },
      { key: "rate", title: "a second", estimate: true, label: "/s", text: (row) => count(row.rate) },
      { key: "p95", title: "p95", label: "p95", text: (row) => time(row.p95) },
      { key: "mean", title: "mean", label: "mean", text: (row) => time(row.mean) },
      { key: "errors", title: "errors/s", estimate: true, label: "errors/s", text: (row) => count(row.errors) },
      { key: "rows", title: "rows/s", estimate: true, label: "rows/s", text: (row) => count(row.rows) },
    ], "digests");
    this.table.columns.forEach((column, place) => column.key && this.makeSortable(column, this.table.head[place]));
  }

  makeSortable(column, head) {
    const button = element("button", { type: "button" }, column.title);
    head.replaceChildren(button);
    const mark = () => {
      if (this.sortedBy === column.key) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    };
    (this.marks ??= []).push(mark);
    mark();
    button.addEventListener("click", () => {
      this.descending = this.sortedBy === column.key ? !this.descending : column.key !== "text";
      this.sortedBy = column.key;
      this.marks.forEach((mark) => mark());
      this.show(true);
    });
  }
}

const noDigests = (mysql) =>
  statementsOf(mysql.traffic) > 0 ? "No statement could be told apart: those inside TLS cannot be read." : whyNothing(mysql);

// The text, and below it where it runs and its id.
function statement({ text, schema, id }) {
  const of = element("span", { className: "of" }, schema ? `${schema} · ${id}` : id);
  const both = document.createDocumentFragment();
  both.append(element("code", {}, text), of);
  return both;
}

const shareCell = () => element("span", {}, bar(), element("span", { className: "part" }));
function fillShare(cell, row) {
  fillBar(cell.firstChild, row.share);
  cell.firstChild.firstChild.classList.remove("full");
  write(cell.lastChild, share(row.share));
}

// Statements a second between each two answers.
const rateLine = (answers, key) =>
  answers.slice(1).map((answer, place) => {
    const [now, then] = [answer.digests.get(key), answers[place].digests.get(key)];
    const elapsed = answer.uptime_seconds - answers[place].uptime_seconds;
    if (!now || !then || elapsed > HOLE) return null;
    return [answers.at(-1).uptime_seconds - answer.uptime_seconds, increase(now.queries, then.queries) / elapsed];
  });
