// Tables whose rows keep their place in the document, so that nothing flickers and no focus is lost.

// Text only: nothing that was on the wire is ever taken for HTML.
function element(name, properties, ...children) {
  const node = document.createElement(name);
  const { className, ...attributes } = properties ?? {};
  if (className) node.className = className;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Writes only what differs: the browser lays nothing out for a number that has not changed.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A column of `Table`: `title` for its head; `make(row, key)` gives its cell's content once, `fill(content, row)`
// brings it up to date; without them `text(row)` is the content.
class Table {
  // `columns`: [{ title, heads, drawn, wide, words, estimate, label, text, make, fill }]
  constructor(container, columns, className = "") {
    this.columns = columns;
    this.rows = new Map();
    this.head = columns.map((column) => element("th", { scope: "col", className: classOf(column) }, column.title));
    this.body = element("tbody");
    this.node = element("table", { className }, element("thead", {}, element("tr", {}, ...this.head)), this.body);
    container.replaceChildren(this.node);
  }

  // `rows`: [key, row] in their order. With `keepOrder` rows that are there stay where they are.
  update(rows, keepOrder = false) {
    const wanted = new Map(rows);
    for (const [key, { node }] of this.rows) {
      if (!wanted.has(key)) {
        node.remove();
        this.rows.delete(key);
      }
    }
    for (const [key, row] of wanted) {
      if (!this.rows.has(key)) this.rows.set(key, this.make(key, row));
      this.fill(this.rows.get(key), row);
    }
    if (!keepOrder) this.order([...wanted.keys()]);
    for (const { node } of this.rows.values()) if (!node.parentNode) this.body.append(node);
  }

  make(key, row) {
    const contents = [];
    const cells = this.columns.map((column) => {
      const content = column.make ? column.make(row, key) : document.createTextNode("");
      contents.push(content);
      const cell = element(column.heads ? "th" : "td", { className: classOf(column) }, content);
      if (column.heads) cell.scope = "row";
      if (column.label) cell.dataset.name = column.label;
      return cell;
    });
    return { node: element("tr", {}, ...cells), cells, contents };
  }

  fill({ cells, contents }, row) {
    this.columns.forEach((column, place) => {
      if (column.fill) column.fill(contents[place], row);
      if (!column.text) return;
      const text = column.text(row);
      write(column.make ? cells[place] : contents[place], text);
      cells[place].classList.toggle("zero", text === "0" || text === DASH);
    });
  }

  order(keys) {
    keys.forEach((key, place) => {
      const { node } = this.rows.get(key);
      if (this.body.children[place] !== node) this.body.insertBefore(node, this.body.children[place] ?? null);
    });
  }
}

function classOf({ words, drawn, wide, estimate }) {
  return [words && "words", drawn && "drawn", wide && "wide", estimate && "estimate"].filter(Boolean).join(" ");
}

// A part of a whole as a bar; the number stands beside it.
function bar() {
  const filled = element("i");
  return element("span", { className: "bar", "aria-hidden": "true" }, filled);
}

function fillBar(node, ratio) {
  const part = Math.min(Math.max(ratio ?? 0, 0), 1);
  node.firstChild.style.width = `${(100 * part).toFixed(1)}%`;
  node.firstChild.classList.toggle("full", part >= 0.9);
}
