// The page's one component: it watches the chosen ticker's parts, draws the charts, and fills header and sidebar in place.

const WIDTHS = [1, 5, 15, 60], WINDOWS = [[15, "15 min"], [60, "1 h"], [0, "Session"]];
const LINES = [["average", "Average 20"], ["vwap", "VWAP"]];
const MOST = 1000, PRESENT_MS = 15_000;
const KEYS = [["← →", "the ticker before, the next one"], ["m", "candles of other minutes"], ["w", "another window of the line"],
  ["a v", "average, VWAP"], ["p", "presenter mode"], ["?", "these keys"], ["Esc", "closes them; leaves presenter mode"]];

function place(name) { return document.querySelector(`[data-sw="${name}"]`); }
function fill(name, html) {
  const found = place(name);
  if (found && found.text !== html) { found.text = html; found.innerHTML = html; }
}
function ago(seconds) {
  if (seconds < 120) return `${Math.max(seconds, 0).toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} d`;
}

class Stage {
  constructor(root, data) {
    this.root = root;
    root.innerHTML = '<div class="sw-empty" role="status"></div><div class="sw-pair"></div><div class="sw-wide"></div>';
    const asked = Number(new URLSearchParams(location.search).get("minutes"));
    this.minutes = data.widths.includes(asked) ? asked : data.minutes;
    this.count = data.count;
    this.window = 0;
    this.lines = new Set();
    const [, pair, wide] = root.children;
    this.cards = { candles: new Card(pair, "candles", this), volume: new Card(pair, "volume", this), live: new Card(wide, "live", this) };
    this.data = data;
    this.list = new Watchlist((symbol) => this.pick(symbol));
    this.alerts = new AlertList((symbol) => this.pick(symbol));
    this.exporting = new ExportCard();
    this.tools();
    this.live = new Live((name, state) => this.take(name, state), (yes) => this.connected(yes));
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys);
    this.clock = setInterval(() => this.ages(), 500);
    this.empty("Loading", "The charts come in a moment.");
  }

  update(component) {
    this.component = component;
    this.data = component.data;
    this.dark = isDark(this.root);
    this.root.classList.toggle("sw-dark", this.dark);
    if (this.symbol !== component.data.symbol && this.picked !== component.data.symbol && this.picked) return;  // it is on its way
    this.picked = undefined;
    this.choose(component.data.symbol);
  }

  choose(symbol) {
    if (this.symbol !== symbol) this.count = this.data.count;
    this.symbol = symbol;
    this.list.mark(symbol);
    this.watch();
  }

  pick(symbol) {
    if (symbol === undefined || symbol === this.symbol) return;
    this.picked = symbol;
    this.choose(symbol);
    this.component.setTriggerValue("pick", symbol);  // the dropdown follows
  }

  names() {
    const lines = LINES.map(([name]) => name).filter((name) => this.lines.has(name)).join(",");
    return { head: ["head", this.symbol], pair: ["pair", this.symbol, this.minutes, this.count, lines],
      live: ["live", this.symbol, this.window], side: ["side"], list: ["list"], alerts: ["alerts"] };
  }

  watch() {
    this.wanted = Object.fromEntries(Object.entries(this.names()).map(([key, name]) => [key, JSON.stringify(name)]));
    this.live.watch(Object.values(this.wanted));
    this.tools();
  }

  take(name, state) {
    const kind = Object.keys(this.wanted).find((key) => this.wanted[key] === name);
    if (kind === "alerts") { this.alerts.show(state); return; }
    if (kind === "list") { this.list.show(state.rows ?? {}, this.symbol); return; }
    if (kind === "side") { fill("side", state.side ?? ""); this.ages(); return; }
    if (state.failed) { if (kind === "pair") this.empty("Not shown", state.failed); return; }
    if (state.empty) { if (kind === "pair") this.empty(...state.empty); return; }
    if (kind === "head") {
      this.head = state;
      fill("first", state.first);
      fill("top", state.top);
      document.title = state.title;
      this.ages();
      this.offer();
      return;
    }
    this.root.dataset.drawn = this.symbol;
    this.root.children[0].hidden = true;
    for (const [card, part] of Object.entries(state)) this.cards[card].show(part);
    if (kind === "pair") { this.waits = undefined; this.offer(); }
  }

  offer() {
    const { starts } = this.cards.candles.part ?? {};
    if (!this.head || !starts) return;
    const { source, opened, at } = this.head;
    const html = document.createElement("i");
    html.textContent = this.symbol;
    this.exporting.show({ symbol: this.symbol, source, opened, at, first: starts[0], minutes: this.minutes, label: html.innerHTML });
  }

  empty(title, said) {
    this.root.children[0].hidden = false;
    this.root.children[0].replaceChildren(Object.assign(document.createElement("b"), { textContent: title }), said);
    delete this.root.dataset.drawn;
    if (title !== "Loading") { fill("first", ""); fill("top", ""); }
  }

  tools() {
    const { candles, live } = this.cards;
    const choice = (word, on, pressed) => `<button type="button" data-do="${on}" aria-pressed="${pressed}">${word}</button>`;
    const widths = [...new Set([...WIDTHS, this.data.minutes])].sort((a, b) => a - b);
    const legend = '<span class="sw-legend" aria-hidden="true"><i class="rose"></i>rose<i class="fell"></i>fell</span>';
    const put = (card, html) => { const box = card.find(".sw-tools"); if (box.text !== html) { box.text = html; box.innerHTML = html; } };
    put(candles, `<span class="sw-choice" role="group" aria-label="Minutes of a candle">${widths.map((n) =>
      choice(n === 60 ? "1 h" : `${n} min`, `minutes ${n}`, n === this.minutes)).join("")}</span>` +
      `<span class="sw-choice" role="group" aria-label="Lines">${LINES.map(([name, word]) =>
        choice(word, `line ${name}`, this.lines.has(name))).join("")}</span>${legend}`);
    put(live, `<span class="sw-choice" role="group" aria-label="Window">${WINDOWS.map(([n, word]) =>
      choice(word, `window ${n}`, n === this.window)).join("")}</span>`);
    this.root.onclick = (event) => { const asked = event.target.closest("[data-do]")?.dataset.do; if (asked) this.act(...asked.split(" ")); };
  }

  act(what, value) {
    if (what === "minutes") {
      this.minutes = Number(value);
      this.count = this.data.count;
      const url = new URL(location.href);
      url.searchParams.set("minutes", value);
      history.replaceState(history.state, "", url);
    }
    if (what === "line" && !this.lines.delete(value)) this.lines.add(value);
    if (what === "window") { this.window = Number(value); this.cards.live.held = {}; }
    this.watch();
  }

  // The reader has dragged or zoomed one of the pair: the other follows, and older candles come when they are in sight.
  moved(card) {
    if (card === this.cards.live) return;
    const other = card === this.cards.candles ? this.cards.volume : this.cards.candles;
    const range = card.held.xaxis;
    other.follow(range);
    const { starts, count } = card.part;
    if (range[0] < -1 && !this.waits && starts && count >= this.count && this.count < MOST) {
      this.waits = true;
      this.count = Math.min(this.count + Math.max(this.data.count, Math.ceil(-range[0])), MOST);
      this.watch();
    }
  }

  hover(number) { this.cards.candles.hover(number); this.cards.volume.hover(number); }

  reset() {
    for (const card of Object.values(this.cards)) card.reset();
    if (this.count !== this.data.count) { this.count = this.data.count; this.watch(); }
  }

  ages() {
    if (!this.head) return;
    const seconds = (Date.now() + this.live.offset - this.head.at) / 1000, { due } = this.head;
    const age = place("side")?.querySelector("[data-age]"), since = place("first")?.querySelector("[data-since]");
    if (age) age.textContent = !due ? "—" : seconds < 120 ? `${Math.max(seconds, 0).toFixed(1)} s` : ago(seconds);
    const said = place("side")?.querySelector("[data-age-said]");
    if (said) said.textContent = due ? "from the exchange's time to this screen" : "no price is due";
    if (since) since.textContent = `updated ${ago(seconds)} ago`;
  }

  connected(yes) {
    if (this.lost === !yes) return;
    this.lost = !yes;
    fill("lost", yes ? "" : '<div class="sw-lost" role="alert"><b>Connection lost.</b> What you see is not live. Trying again by itself.</div>');
    this.root.classList.toggle("sw-old-data", !yes);
  }

  next(step) {
    const all = this.data.tickers, now = all.indexOf(this.symbol);
    this.pick(all[(now + step + all.length) % all.length]);
  }

  key(event) {
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [role=combobox], [contenteditable]")) return;
    const turn = (list, now) => list[(list.indexOf(now) + 1) % list.length];
    const what = { ArrowLeft: () => this.next(-1), ArrowRight: () => this.next(1), p: () => this.present(!this.presenting),
      m: () => this.act("minutes", String(turn(WIDTHS, this.minutes))), a: () => this.act("line", "average"), v: () => this.act("line", "vwap"),
      w: () => this.act("window", String(turn(WINDOWS.map(([n]) => n), this.window))), "?": () => this.help(), Escape: () => this.present(false) }[event.key];
    if (what) { event.preventDefault(); what(); }
  }

  help() {
    const box = document.querySelector("dialog.sw-keys") ?? document.body.appendChild(document.createElement("dialog"));
    box.className = "sw-keys";
    box.setAttribute("aria-label", "Keys");
    box.innerHTML = `<h2>Keys</h2><dl>${KEYS.map(([key, does]) => `<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`).join("")}</dl>` +
      '<form method="dialog"><button autofocus>Close</button></form>';
    if (!box.open) box.showModal();
  }

  present(on) {
    this.presenting = on;
    document.documentElement.classList.toggle("sw-present", on);
    clearInterval(this.turning);
    if (on) this.turning = setInterval(() => this.next(1), PRESENT_MS);
    fill("room", on ? this.data.room ?? "" : "");
    window.dispatchEvent(new Event("resize"));
  }

  close() {
    this.live.close();
    clearInterval(this.clock);
    clearInterval(this.turning);
    document.removeEventListener("keydown", this.keys);
    document.documentElement.classList.remove("sw-present");
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".sw-stage");
  root.stage ??= new Stage(root, component.data);
  root.stage.update(component);
  if (new URLSearchParams(location.search).has("present") && root.stage.presenting === undefined) root.stage.present(true);
  return () => { root.stage?.close(); root.stage = undefined; };
}
