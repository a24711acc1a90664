// Lines over time, drawn as SVG. Nothing here knows what the numbers are.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// A path through [x, y] points; null breaks it.
function pathThrough(points) {
  let path = "";
  let pen = "M";
  for (const point of points) {
    if (point === null) {
      pen = "M";
    } else {
      path += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      pen = "L";
    }
  }
  return path;
}

// Runs of points between nulls.
function runs(points) {
  const found = [[]];
  for (const point of points) point === null ? found.push([]) : found.at(-1).push(point);
  return found.filter((run) => run.length > 0);
}

// The number of the form 1, 2, 4, 5 or 8 times a power of ten that is no less than `value`.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((digit) => digit * power).find((round) => round >= value * 0.9999) ?? value;
}

// The two ways of placing a value: from 0 up, and by its magnitude.
const linear = {
  fit(values) {
    const most = Math.max(...values, 0);
    const top = most > 0 ? roundUp(most * 1.02) : 1;
    return { ticks: [0, top / 2, top], place: (value) => value / top };
  },
};
const logarithmic = {
  fit(values) {
    const positive = values.filter((value) => value > 0);
    const low = Math.floor(Math.log10(Math.min(...positive, 1e-3)) + 1e-9);
    const high = Math.max(Math.ceil(Math.log10(Math.max(...positive, 1e-3)) - 1e-9), low + 1);
    const ticks = [];
    for (let power = low; power <= high; power += Math.ceil((high - low) / 4)) ticks.push(10 ** power);
    return { ticks, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
  },
};

// A round number needs no digits behind its point.
const round = (text) => text.replace(/\.0+(?!\d)/, "");

// Space for labels, in pixels.
const MARGIN = { top: 8, right: 6, bottom: 18, left: 44 };

class Chart {
  // `lines`: [{ style, name, wash, value(point), band(point) }]; `describe` gives the text for those who hear the page.
  constructor(container, { lines, scale, format, describe, onPoint }) {
    Object.assign(this, { container, lines, scale, format, describe, onPoint, points: [], pointed: null });
    this.picture = svg("svg", { role: "img" });
    container.replaceChildren(this.picture);
    new ResizeObserver(() => this.draw()).observe(container);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => onPoint(null));
  }

  // `pointed` is the time somebody points at, in whatever chart, or null.
  update({ points, window }, pointed) {
    Object.assign(this, { points, window, pointed });
    this.container.hidden = false;
    this.draw();
  }

  hide() {
    this.container.hidden = true;
  }

  point(event) {
    const left = this.picture.getBoundingClientRect().left;
    const age = (this.width - MARGIN.right - (event.clientX - left)) / this.perSecond;
    const at = this.points.length > 0 ? this.points.at(-1).at - age : 0;
    const nearest = this.points.reduce(
      (best, point) => (best === null || Math.abs(point.at - at) < Math.abs(best.at - at) ? point : best),
      null,
    );
    this.onPoint(nearest?.at ?? null);
  }

  draw() {
    const { width, height } = this.container.getBoundingClientRect();
    if (width === 0 || this.points.length === 0) return;
    this.width = width;
    const now = this.points.at(-1).at;
    this.perSecond = (width - MARGIN.left - MARGIN.right) / this.window;
    const values = this.points.flatMap((point) =>
      this.lines.map((line) => (line.value(point) ?? 0) + (line.band?.(point) ?? 0)),
    );
    const { ticks, place } = this.scale.fit(values);
    const bottom = height - MARGIN.bottom;
    const x = (point) => width - MARGIN.right - (now - point.at) * this.perSecond;
    const y = (value) => bottom - place(value) * (bottom - MARGIN.top);
    const parts = [...this.grid(ticks, y, width), ...this.times(bottom, width)];
    for (const line of this.lines) parts.push(...this.line(line, x, y, bottom));
    const pointed = this.points.find((point) => point.at === this.pointed);
    if (pointed) parts.push(svg("path", { class: "cross", d: `M${x(pointed)} ${MARGIN.top}V${bottom}` }));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.setAttribute("aria-label", this.describe(this.points));
    this.picture.replaceChildren(...parts);
  }

  grid(ticks, y, width) {
    return ticks.flatMap((tick, index) => {
      const at = Math.round(y(tick)) + 0.5;
      const line = svg("path", { class: index === 0 ? "grid base" : "grid", d: `M${MARGIN.left} ${at}H${width - MARGIN.right}` });
      return [line, svg("text", { x: MARGIN.left - 6, y: at + 3.5, "text-anchor": "end" }, round(this.format(tick)))];
    });
  }

  times(bottom, width) {
    const label = (text, x, anchor) => svg("text", { x, y: bottom + 14, "text-anchor": anchor }, text);
    return [
      label(`${duration(this.window)} ago`, MARGIN.left, "start"),
      label("now", width - MARGIN.right, "end"),
    ];
  }

  line({ style, name, wash, value, band }, x, y, bottom) {
    const places = this.points.flatMap((point) => {
      const known = value(point);
      const place = known === null || known === undefined ? null : [x(point), y(known), point];
      return point.hole ? [null, place] : [place];
    });
    const parts = runs(places).flatMap((run) => {
      const area = band && run.every(([, , point]) => band(point) !== null) ? around(run, y, value, band) : wash && under(run, bottom);
      return area ? [svg("path", { class: wash, d: area })] : [];
    });
    parts.push(svg("path", { class: style, d: pathThrough(places) }));
    const last = places.at(-1);
    if (name && last) parts.push(svg("text", { class: "name", x: last[0] - 4, y: last[1] - 4, "text-anchor": "end" }, name));
    return parts;
  }
}

// The area between a line and the ground.
const under = (run, bottom) => `${pathThrough(run)}L${run.at(-1)[0].toFixed(1)} ${bottom}L${run[0][0].toFixed(1)} ${bottom}Z`;

// The area within a line's band.
function around(run, y, value, band) {
  const edge = (sign) => run.map(([x, , point]) => [x, y(Math.max(value(point) + sign * band(point), 0))]);
  return `${pathThrough(edge(1))}${pathThrough(edge(-1).reverse()).replace("M", "L")}Z`;
}

// A line as small as a word, without labels: it says how, the number beside it says how much.
class Spark {
  constructor() {
    this.path = svg("path", { "vector-effect": "non-scaling-stroke" });
    this.picture = svg("svg", { class: "spark", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" }, this.path);
  }

  // `values` are [seconds ago, value]; null breaks the line.
  update(values, window) {
    const top = Math.max(...values.map((value) => value?.[1] ?? 0), 1e-9);
    this.path.setAttribute("d", pathThrough(values.map((value) => value && [100 - (100 * value[0]) / window, 19 - 18 * (value[1] / top)])));
  }
}
