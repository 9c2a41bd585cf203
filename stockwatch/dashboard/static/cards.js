// One card a chart, plotly inside. Plotly.react keeps zoom and hover; refreshes never remount.
// Figures come in the light palette's colours; in a dark page each is replaced by its dark twin.

const DARK = {
  "#FFFFFF": "#0D1217", "#10171E": "#EAEFF4", "#4A5764": "#A9B5C1", "#66727F": "#8794A1", "#08757D": "#3CC4CB",
  "#C4470B": "#FF8F4A", "#E9EDF1": "#1C252D", "#DCE2E8": "#28323C", "#E6EAEE": "#232C35",
  "rgba(8,117,125,0.16)": "rgba(60,196,203,0.24)", "rgba(196,71,11,0.16)": "rgba(255,143,74,0.24)",
  "rgba(106,43,192,0.14)": "rgba(181,140,255,0.22)", "rgba(255,255,255,0.75)": "rgba(13,18,23,0.75)",
};
const CONFIG = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: false, showTips: false };

const PLOTLY = "/stockwatch/plotly.min.js";

let loading;
function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const coming = document.querySelector(`script[src="${PLOTLY}"]`), script = coming ?? document.createElement("script");
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => { loading = undefined; script.remove(); reject(new Error("plotly.min.js did not load")); });
    if (!coming) { script.src = PLOTLY; document.head.append(script); }
  });
  return loading;
}

function isDark(element) {
  const [r, g, b] = (getComputedStyle(element).getPropertyValue("--st-background-color").match(/[0-9a-f]{2}/gi) ?? [])
    .map((part) => parseInt(part, 16));
  return r + g + b < 384;
}

// A copy that plotly may change, in this page's colours: the state that patches are applied to stays as it is. `data`: its columns
// of numbers are only read, and stay the same ones.
function copied(value, dark, data) {
  if (typeof value === "string") return dark ? DARK[value] ?? value : value;
  if (Array.isArray(value)) return data && typeof value[0] !== "string" ? value : value.map((one) => copied(one, dark, data));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, copied(one, dark, data)]));
}
function figureOf({ data, layout }, dark) {
  return { data: data.map((trace) => copied(trace, dark, true)), layout: copied(layout, dark, false) };
}

// Labels keep 56 px each (46 on phones): every second, third … one stays.
function thinLabels(layout, width, share) {
  const { tickvals, ticktext } = layout.xaxis;
  if (width === 0) return;
  if (!tickvals) { layout.xaxis.nticks = Math.max(Math.floor((width - layout.margin.l - layout.margin.r) / 72), 2); return; }
  const room = (width - layout.margin.l - layout.margin.r) / (width < 420 ? 46 : 56);
  const every = Math.max(Math.ceil((tickvals.length * share) / room), 1);
  layout.xaxis.tickvals = tickvals.filter((_, number) => number % every === 0);
  layout.xaxis.ticktext = ticktext.filter((_, number) => number % every === 0);
}

// In each frame as many charts as fit into its time, at least one; the one that has waited longest first, and each as it is then:
// what comes faster than it can be drawn is left out, and a page that nobody looks at draws nothing. Once each has had its turn,
// the page rests as long as they took: half of a slow machine stays free for its reader, and for Streamlit's own scripts.
const MOST_REST_MS = 250, FRAME_MS = 10;
const waiting = new Set(), drawn = new Set();  // drawn: in this round
let turning = false, resting, spent = 0;
function inTurn(card, atOnce = false) {  // atOnce: the reader has asked for it
  waiting.add(card);
  if (turning && !(atOnce && resting)) return;
  clearTimeout(resting);
  resting = undefined;
  turning = true;
  requestAnimationFrame(drawNext);
}
async function drawNext() {
  const began = performance.now(), next = () => [...waiting].find((one) => !drawn.has(one));
  let card = next();
  do {
    waiting.delete(card);
    drawn.add(card);
    await card.draw().catch((error) => card.say(`The chart cannot be drawn: ${error.message}`));
    card = next();
  } while (card && performance.now() - began < FRAME_MS);
  spent += performance.now() - began;
  if (card) requestAnimationFrame(drawNext); else rest();
}
function rest() {
  resting = setTimeout(() => {
    resting = undefined;
    turning = waiting.size > 0;
    if (turning) requestAnimationFrame(drawNext);
  }, Math.min(spent, MOST_REST_MS));
  spent = 0;
  drawn.clear();
}

class Card {
  constructor(parent, name, stage) {
    this.name = name;
    this.stage = stage;
    this.held = {};  // ranges that the reader has set: they stay, whatever the next figures say
    this.box = document.createElement("section");
    this.box.className = "sw-card";
    this.box.dataset.card = name;
    this.box.innerHTML = '<header><h2></h2><span class="sw-tags"></span><span class="sw-said"></span>' +
      (name === "live" ? '<span class="sw-tools"></span></header>' : '</header><div class="sw-tools"></div>') +
      '<div class="sw-plot" role="img"></div><table class="sw-unseen"></table>';
    parent.append(this.box);
    this.plot = this.find(".sw-plot");
    this.line = document.createElement("i");
    this.line.className = "sw-cross";
  }

  find(selector) { return this.box.querySelector(selector); }

  show(part) {
    const old = this.part;
    this.part = part;
    this.find("h2").textContent = part.title;
    const tags = part.tags.map(([word, kind]) => `<b class="sw-tag sw-${kind}">${word}</b>`).join("");
    if (this.tags !== tags) { this.tags = tags; this.find(".sw-tags").innerHTML = tags; }
    this.plot.setAttribute("aria-label", part.summary);
    if (part.table && old?.table !== part.table) this.tabulate(part);
    if (old?.of !== part.of) { this.held = {}; this.hovered = undefined; }  // another ticker, or other candles: its own view
    else if (old?.starts && part.starts) this.move(old.starts, part.starts);
    this.say(part.hover?.[this.hovered] ?? part.said);
    inTurn(this, old?.of !== part.of);
  }

  say(html) {
    const said = this.find(".sw-said");
    if (said.text !== html) { said.text = html; said.innerHTML = html; }
  }

  // The table behind the chart. Cells change in place: who reads it, by ear, stays where they are.
  tabulate({ title, heads, table }) {
    const home = this.find("table"), caption = `${title}, the newest first`;
    if (home.heads !== heads.join()) {
      home.heads = heads.join();
      home.innerHTML = `<caption></caption><thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead><tbody></tbody>`;
    }
    if (home.caption.textContent !== caption) home.caption.textContent = caption;
    const [body] = home.tBodies;
    while (body.rows.length > table.length) body.deleteRow(-1);
    table.forEach((cells, number) => {
      const row = body.rows[number] ?? body.insertRow();
      cells.forEach((text, place) => {
        const cell = row.cells[place] ?? row.insertCell();
        if (cell.textContent !== text) cell.textContent = text;
      });
    });
  }

  // What the reader looks at stays in sight when a candle is added, or older ones are loaded.
  move(old, now) {
    if (old[0] === now[0]) return;
    const older = now.indexOf(old[0]), left = old.indexOf(now[0]);
    const by = older > 0 ? older : left > 0 ? -left : 0;
    if (this.held.xaxis) this.held.xaxis = this.held.xaxis.map((edge) => edge + by);
    if (this.hovered !== undefined) this.hovered = Math.max(this.hovered + by, 0);
  }

  async draw() {
    const Plotly = await plotly();
    if (this.pressed) return;  // what the reader drags is left alone until it is let go
    const { part } = this, first = !this.plot.data;
    const figure = figureOf(part.figure, this.stage.dark);
    const share = part.count ? Math.min((figure.layout.xaxis.range[1] - figure.layout.xaxis.range[0]) / part.count, 1) : 1;
    thinLabels(figure.layout, this.plot.clientWidth, share);
    for (const [axis, range] of Object.entries(this.held)) figure.layout[axis].range = [...range];
    await Plotly.react(this.plot, figure.data, figure.layout, CONFIG);
    if (first) this.listen();
    this.cross();
    this.stage.drawn?.();
  }

  listen() {
    this.plot.append(this.line);
    this.plot.addEventListener("pointerdown", () => {
      this.pressed = true;
      const free = () => { this.pressed = false; inTurn(this, true); };
      for (const end of ["pointerup", "pointercancel"]) addEventListener(end, free, { once: true, capture: true });
    }, true);
    this.plot.on("plotly_relayout", (changed) => {
      const moved = ["xaxis", "yaxis"].filter((axis) => Object.keys(changed).some((key) => key.startsWith(`${axis}.range`)));
      for (const axis of moved) this.held[axis] = [...this.plot.layout[axis].range];
      if (moved.includes("xaxis") && !this.following) this.stage.moved(this);
    });
    this.plot.on("plotly_doubleclick", () => this.stage.reset());
    this.plot.on("plotly_hover", (event) => { if (this.part.hover) this.stage.hover(event.points[0].pointNumber); });
    this.plot.on("plotly_unhover", () => { if (this.part.hover) this.stage.hover(undefined); });
  }

  range() { return this.part?.starts && this.plot.layout?.xaxis.range.map(Number); }

  // fitted: the price axis too shows what is in sight there.
  follow(range, fitted = false) {
    this.held.xaxis = [...range];
    if (!this.plot.data) return;  // its turn to be drawn has not come; then it will be there
    this.following = true;
    if (fitted) this.held.yaxis = this.fit(range) ?? this.held.yaxis;
    const changed = Object.fromEntries(Object.entries(this.held).filter(([, held]) => held).map(([axis, held]) => [`${axis}.range`, [...held]]));
    window.Plotly.relayout(this.plot, changed).finally(() => { this.following = false; this.cross(); });
  }

  fit([from, to]) {
    const [{ low, high, y }] = this.part.figure.data, begin = Math.max(Math.ceil(from), 0), end = Math.floor(to) + 1;
    const tops = (high ?? y).slice(begin, end), lows = low?.slice(begin, end);
    if (!tops.length) return undefined;
    const top = Math.max(...tops), bottom = lows ? Math.min(...lows) : 0, room = (top - bottom || 1) * 0.06;
    return [lows ? bottom - room : 0, top + room];
  }

  hover(number) {
    this.hovered = number;
    this.say(this.part.hover?.[number] ?? this.part.said);
    this.cross();
  }

  cross() {
    const { _fullLayout: drawn } = this.plot;
    this.line.hidden = this.hovered === undefined || !drawn;
    if (this.line.hidden) return;
    this.line.style.left = `${drawn.xaxis._offset + drawn.xaxis.d2p(this.hovered)}px`;
    this.line.style.top = `${drawn.yaxis._offset}px`;
    this.line.style.height = `${drawn.yaxis._length}px`;
  }

  reset() { this.held = {}; if (this.part) inTurn(this, true); }
}
