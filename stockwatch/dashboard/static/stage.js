// The page's one component: it watches the chosen ticker's parts, draws the charts, and fills header and sidebar in place.

const WIDTHS = [1, 5, 15, 60], WINDOWS = [[15, "15 min"], [60, "1 h"], [0, "Session"]];
const LINES = [["average", "Average 20"], ["vwap", "VWAP"]];
const MOST = 1000, SETTLE_MS = 100, SETTLES = 50;
const AWAY = "The store does not answer";  // parts.py says so

class Stage {
  constructor(root, data) {
    this.root = root;
    root.stage = this;
    this.dark = isDark(root);
    root.classList.toggle("sw-dark", this.dark);
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
    this.side = new Sidebar();
    this.tools();
    this.live = new Live((name, state) => this.take(name, state), (yes) => this.connected(yes));
    plotly().catch(() => {});  // read while the first parts are on their way; what fails is said by the card that draws
    this.presenter = new Presenter(this);
    this.keys = new Keys(this);
    this.clock = setInterval(() => this.ages(), 500);
    this.empty("Loading", "The charts come in a moment.");
    this.choose(data.symbol);
    if (new URLSearchParams(location.search).has("present")) this.presenter.turn(true);
  }

  update(component) {
    if (!this.component && this.picked) component.setTriggerValue("pick", this.picked);  // in the shell: the dropdown follows
    this.component = component;
    this.data = component.data;
    this.dark = isDark(this.root);
    this.root.classList.toggle("sw-dark", this.dark);
    if (this.symbol !== component.data.symbol && this.picked !== component.data.symbol && this.picked) return;  // it is on its way
    this.picked = undefined;
    this.choose(component.data.symbol);
  }

  // The places are Streamlit's now, and come one after the other: what is known goes into them.
  settle(tries = SETTLES) {
    for (const [name, { state }] of this.live.states) if (Object.values(this.wanted).includes(name)) this.take(name, state);
    if (tries && !["first", "top", "list", "alerts", "export"].every(place)) setTimeout(() => this.settle(tries - 1), SETTLE_MS);
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
    this.component?.setTriggerValue("pick", symbol);  // the dropdown follows
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
    if (kind === "alerts") { if (state.order) this.alerts.show(state); return; }  // without: it is not known now, what is shown stays
    if (kind === "list") { if (state.rows) this.list.show(state.rows, this.symbol); return; }
    if (kind === "side") { this.side.show(state); this.ages(); return; }
    if (state.failed) { if (kind === "pair") this.empty("Not shown", state.failed); return; }
    if (state.empty) { if (kind === "pair") this.none(...state.empty); return; }
    if (kind === "head") {
      this.head = state;
      fill("first", state.first);
      fill("top", state.top);
      document.title = state.title;
      this.ages();
      this.offer();
      return;
    }
    if (kind === "live") this.side.dot("dashboard");
    this.root.dataset.drawn = this.symbol;
    this.root.children[0].hidden = true;
    for (const [card, part] of Object.entries(state)) this.cards[card].show(part);
    if (kind === "pair") { this.waits = undefined; this.away = ""; this.warn(); this.offer(); }
  }

  offer() {
    const { starts } = this.cards.candles.part ?? {};
    if (!this.head || !starts) return;
    const { source, opened, at } = this.head;
    const html = document.createElement("i");
    html.textContent = this.symbol;
    this.exporting.show({ symbol: this.symbol, source, opened, at, first: starts[0], minutes: this.minutes, label: html.innerHTML });
  }

  // What is drawn already stays while the store is away.
  none(title, said) {
    this.away = title === AWAY && this.root.dataset.drawn === this.symbol ? title : "";
    this.warn();
    if (!this.away) this.empty(title, said);
  }

  empty(title, said) {
    this.root.children[0].hidden = false;
    this.root.children[0].replaceChildren(Object.assign(document.createElement("b"), { textContent: title }), said);
    delete this.root.dataset.drawn;
    if (title !== "Loading") { fill("first", ""); fill("top", ""); }
  }

  tools() {
    const { candles, live } = this.cards;
    const choice = (word, on) => `<button type="button" data-do="${on}">${word}</button>`;
    const group = (word, buttons) => `<span class="sw-choice" role="group" aria-label="${word}">${buttons.join("")}</span>`;
    const widths = [...new Set([...WIDTHS, this.data.minutes])].sort((a, b) => a - b);
    const legend = '<span class="sw-legend" aria-hidden="true"><i class="rose"></i>rose<i class="fell"></i>fell</span>';
    const on = new Set([`minutes ${this.minutes}`, `window ${this.window}`, ...[...this.lines].map((name) => `line ${name}`)]);
    const put = (card, html) => {
      const box = card.find(".sw-tools");
      if (box.text !== html) { box.text = html; box.innerHTML = html; }
      press(box, (button) => on.has(button.dataset.do));
    };
    put(candles, group("Minutes of a candle", widths.map((n) => choice(n === 60 ? "1 h" : `${n} min`, `minutes ${n}`))) +
      group("Lines", LINES.map(([name, word]) => choice(word, `line ${name}`))) + legend);
    put(live, group("Window", WINDOWS.map(([n, word]) => choice(word, `window ${n}`))));
    this.root.onclick = (event) => { const asked = event.target.closest("[data-do]")?.dataset.do; if (asked) this.act(...asked.split(" ")); };
  }

  act(what, value) {
    if (what === "present") { this.presenter.turn(); return; }
    if (what === "keys") { this.keys.help(); return; }
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
    (card === this.cards.candles ? this.cards.volume : this.cards.candles).follow(card.held.xaxis);
    this.older(card.held.xaxis);
  }

  older([from]) {
    const { starts, count } = this.cards.candles.part;
    if (from >= -1 || this.waits || !starts || count < this.count || this.count >= MOST) return;
    this.waits = true;
    this.count = Math.min(this.count + Math.max(this.data.count, Math.ceil(-from)), MOST);
    this.watch();
  }

  // By key: what a pointer does by hovering, dragging and turning its wheel.
  step(by) {
    const { candles } = this.cards, shown = candles.range();
    if (!shown) return;
    const asked = (candles.hovered ?? candles.part.count) + by, number = Math.min(Math.max(asked, 0), candles.part.count - 1);
    candles.find(".sw-said").setAttribute("aria-live", "polite");
    this.hover(number);
    const [from, to] = shown, past = asked - 0.7 < from ? asked - 0.7 - from - (to - from) / 4 : number + 0.3 > to ? number + 0.7 - to : 0;
    if (past) this.look([from + past, to + past]);
  }

  zoom(factor) {
    const { candles } = this.cards, shown = candles.range();
    if (!shown) return;
    const [from, to] = shown, width = Math.min(Math.max((to - from) * factor, 5), MOST), centre = candles.hovered;
    this.look(centre === undefined ? [to - width, to] : [centre - width / 2, centre + width / 2]);
  }

  look(range) {
    for (const card of [this.cards.candles, this.cards.volume]) card.follow(range, true);
    this.older(range);
  }

  leave() {
    if (this.cards.candles.hovered === undefined) { this.presenter.turn(false); return; }
    this.cards.candles.find(".sw-said").removeAttribute("aria-live");
    this.hover(undefined);
  }

  hover(number) { this.cards.candles.hover(number); this.cards.volume.hover(number); }

  reset() {
    for (const card of Object.values(this.cards)) card.reset();
    if (this.count !== this.data.count) { this.count = this.data.count; this.watch(); }
  }

  ages() {
    this.side.draw(Date.now() + this.live.offset);
    if (!this.head) return;
    const seconds = (Date.now() + this.live.offset - this.head.at) / 1000, { due, stale } = this.head;
    const age = place("side")?.querySelector("[data-age]"), since = place("first")?.querySelector("[data-since]");
    age?.classList.toggle("sw-stale", stale);
    if (age) age.textContent = !due ? "—" : seconds < 120 ? `${Math.max(seconds, 0).toFixed(1)} s` : ago(seconds);
    const said = place("side")?.querySelector("[data-age-said]");
    if (said) said.textContent = !due ? "no price is due" : `${stale ? "stale: " : ""}from the exchange's time to this screen`;
    if (since) since.textContent = `updated ${ago(seconds)} ago`;
  }

  connected(yes) {
    if (this.lost === !yes) return;
    this.lost = !yes;
    this.warn();
  }

  warn() {
    const title = this.lost ? "Connection lost" : this.away;
    fill("lost", title ? `<div class="sw-lost" role="alert"><b>${title}.</b> What you see is not live. Trying again by itself.</div>` : "");
    document.documentElement.classList.toggle("sw-cut", Boolean(title));
  }

  next(step) {
    const all = this.data.tickers, now = all.indexOf(this.symbol);
    this.pick(all[(now + step + all.length) % all.length]);
  }

  close() {
    this.live.close();
    clearInterval(this.clock);
    this.presenter.close();
    this.keys.close();
    document.documentElement.classList.remove("sw-cut");
  }
}
