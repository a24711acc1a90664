// Visits the page as a person would and reports what it saw, as one line of JSON on stdout.
//
//     node visit.js MODULES URL SECONDS PICTURES [PICTURE]
//
// MODULES is a node_modules folder; SECONDS is how much history to wait for; pictures go into the folder PICTURES, and one
// for the documentation into the file PICTURE. Exit code 3: the browser could not be started.
"use strict";
const fs = require("fs");
const path = require("path");

const [modules, url, seconds, pictures, picture] = process.argv.slice(2);
const puppeteer = require(path.join(modules, "puppeteer-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");

// Longest wait for anything that must happen, on however busy a machine: a guard against hanging for ever.
const PATIENCE = { timeout: 120000, polling: 50 };

const seen = { complaints: [], requests: [], barriers: {} };

// A page that tells what goes wrong in it, and what it asks for.
async function open(browser, { width = 1280, height = 800, scheme = "light", javascript = true, before } = {}) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) seen.complaints.push(message.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error.stack)));
  page.on("dialog", (dialog) => {
    seen.complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) seen.requests.push(request.url());
  });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height, deviceScaleFactor: width < 600 ? 2 : 1 });
  await page.setJavaScriptEnabled(javascript);
  if (before) await page.evaluateOnNewDocument(before);
  await page.goto(url);
  return page;
}

// What keeps some people from using it (https://github.com/dequelabs/axe-core).
async function barriers(page, name) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run());
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
  seen.barriers[name] = { found, passed: passes.length };
}

const shoot = (page, name) => page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });

const line = (page, id) => page.$eval(`#${id} svg`, (chart) => [...chart.querySelectorAll("path:not(.grid)")].map((path) => path.getAttribute("d")).join(" "));
const column = (page, place) => page.$$eval("#digests tbody tr", (rows, place) => rows.map((row) => row.children[place].textContent), place);

// The charts: that they move, and what they say.
async function charts(page) {
  const ids = ["statements-chart", "errors-chart", "latency-chart"];
  const drawn = (id, before) => {
    const paths = [...document.querySelectorAll(`#${id} svg path:not(.grid)`)].map((path) => path.getAttribute("d"));
    return paths.join(" ") !== before && paths.every((path) => /L.*L/.test(path));
  };
  const counting = () => {
    const figures = [...document.querySelectorAll(".figure")].map((figure) => figure.textContent);
    return figures.length > 0 && figures.every((text) => /[1-9]/.test(text)) && figures;
  };
  for (const id of ids) await page.waitForFunction(drawn, PATIENCE, id, "");
  const before = await Promise.all(ids.map((id) => line(page, id)));
  for (const [place, id] of ids.entries()) await page.waitForFunction(drawn, PATIENCE, id, before[place]);
  seen.charts = await page.$$eval(".chart svg", (charts) => charts.map((chart) => chart.getAttribute("aria-label")));
  // Errors are few: in one second of many there is none.
  seen.figures = await (await page.waitForFunction(counting, PATIENCE)).jsonValue();
}

// Pointing at a chart tells of the moment that is pointed at.
async function pointing(page) {
  const box = await (await page.$("#statements-chart svg")).boundingBox();
  await page.mouse.move(box.x + box.width - 20, box.y + box.height / 2);
  seen.crosses = await page.$$eval(".cross", (crosses) => crosses.length);
  seen.pointed = await page.$eval("#updated", (node) => node.textContent);
  await page.mouse.move(0, 0);
}

// The table of statements, sorted by some of its columns both ways, by keyboard; stopped, so that nothing changes
// between sorting and looking.
async function sorting(page) {
  seen.sorted = [];
  await page.click("#pause");
  for (const [place, title] of [[3, "a second"], [0, "statement"], [5, "mean"]]) {
    await page.focus(`#digests thead th:nth-child(${place + 1}) button`);
    for (let twice = 0; twice < 2; twice += 1) {
      await page.keyboard.press("Enter");
      const direction = await page.$eval("#digests th[aria-sort]", (head) => `${head.textContent} ${head.getAttribute("aria-sort")}`);
      seen.sorted.push({ title, direction, cells: await column(page, place) });
    }
  }
  await page.focus("#digests thead th:nth-child(2) button");
  await page.keyboard.press("Enter");
  await page.click("#pause");
}

// That nothing is left that could ask once nobody looks: no timer is set, no question open; and that it goes on.
async function looking(browser) {
  const page = await open(browser, {
    before: () => {
      let hidden = false;
      const state = (window.state = { timers: new Set(), open: 0, asked: 0 });
      Object.defineProperty(document, "hidden", { get: () => hidden });
      window.look = (looks) => {
        hidden = !looks;
        document.dispatchEvent(new Event("visibilitychange"));
      };
      const [set, clear, ask] = [window.setTimeout, window.clearTimeout, window.fetch];
      window.setTimeout = (call, delay) => {
        const id = set(() => {
          state.timers.delete(id);
          call();
        }, delay);
        state.timers.add(id);
        return id;
      };
      window.clearTimeout = (id) => {
        state.timers.delete(id);
        clear(id);
      };
      window.fetch = (...question) => {
        state.open += 1;
        state.asked += 1;
        return ask(...question).finally(() => (state.open -= 1));
      };
    },
  });
  await page.waitForFunction(() => state.asked > 1, PATIENCE);
  await page.evaluate(() => look(false));
  await page.waitForFunction(() => state.open === 0, PATIENCE);
  seen.unwatched = await page.evaluate(() => state.timers.size);
  const asked = await page.evaluate(() => state.asked);
  await page.evaluate(() => look(true));
  await page.waitForFunction((asked) => state.asked > asked + 1, PATIENCE, asked);
  await page.click("#pause");
  await page.waitForFunction(() => state.open === 0, PATIENCE);
  seen.paused = await page.evaluate(() => state.timers.size);
  await page.close();
}

// Whether rates are of so many seconds: "rates of the last 12 s", or "… 1 min", which is all there is.
function looked(seconds) {
  const [, number, unit] = document.getElementById("digests-span").textContent.match(/(\d+)\s*(s|min)/) ?? [];
  return number >= seconds || unit === "min";
}

async function withJavascript(browser) {
  const page = await open(browser);
  await charts(page);
  await page.waitForFunction(looked, PATIENCE, Number(seconds));
  await pointing(page);
  await sorting(page);
  seen.health = await page.$eval("#health", (node) => node.textContent);
  seen.texts = await column(page, 0);
  seen.images = await page.$$eval("img", (images) => images.length);
  await barriers(page, "light");
  await shoot(page, "light");
  if (picture) {
    await page.setViewport({ width: 1280, height: 1150 });
    await page.screenshot({ path: picture });
  }
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await barriers(page, "dark");
  await shoot(page, "dark");
  await page.setViewport({ width: 390, height: 844, deviceScaleFactor: 2 });
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await barriers(page, "phone");
  await shoot(page, "phone");
  await page.close();
}

async function withoutJavascript(browser) {
  const page = await open(browser, { javascript: false });
  seen.plain = await page.$$eval("table", (tables) => tables.map((table) => table.rows.length));
  await shoot(page, "plain");
  await page.close();
}

(async () => {
  let browser;
  try {
    const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--hide-scrollbars"];
    browser = await puppeteer.launch({ executablePath: "/usr/bin/chromium", pipe: true, timeout: PATIENCE.timeout, args });
  } catch (error) {
    console.error(String(error));
    process.exit(3);
  }
  try {
    await withJavascript(browser);
    await looking(browser);
    await withoutJavascript(browser);
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
})().catch((error) => {
  console.error(error.stack, JSON.stringify(seen));
  process.exit(1);
});
