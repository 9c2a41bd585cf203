// The export's card: what, of which time, in which form; each form is a plain link. Made once: a reader's focus stays in it.

const ROWS = [["candles", "Candles"], ["ticks", "Ticks"]], FORMS = [["csv", "CSV"], ["xlsx", "Excel"], ["parquet", "Parquet"]];
const PERIODS = [["shown", "Shown"], ["day", "Session"], ["week", "7 days"], ["all", "All"]];
const WEEK_MS = 7 * 86_400_000;

class ExportCard {
  constructor() { this.rows = "candles"; this.period = "day"; }

  show(of) {
    const home = place("export");
    if (!home || !of.symbol) return;
    this.of = of;
    if (!home.firstElementChild) this.build(home);
    const from = { shown: of.first, day: of.opened, week: of.at - WEEK_MS, all: 0 }[this.period];
    const asked = new URLSearchParams({ symbol: of.symbol, source: of.source, what: this.rows, minutes: of.minutes });
    if (from) asked.set("from", new Date(from).toISOString());
    for (const link of home.querySelectorAll("[data-form]")) link.setAttribute("href", `/stockwatch/export?${asked}&format=${link.dataset.form}`);
    press(home, (button) => button.dataset.rows === this.rows || button.dataset.period === this.period);
    const candles = home.querySelector("[data-rows=candles]"), said = `${of.minutes}-min candles`;
    if (candles.textContent !== said) candles.textContent = said;
    fill("export-of", of.label);
  }

  build(home) {
    const group = (word, name, all) => `<span>${word}</span><div class="sw-choice" role="group" aria-label="${word}">` +
      `${all.map(([key, said]) => `<button type="button" data-${name}="${key}">${said}</button>`).join("")}</div>`;
    home.innerHTML = `<div class="sw-export">${group("Rows", "rows", ROWS)}${group("Period", "period", PERIODS)}<span>Download</span>` +
      `<div class="sw-links">${FORMS.map(([form, word]) => `<a data-form="${form}" download>↓ ${word}</a>`).join("")}</div>` +
      "<small>Times in the exchange's time and UTC. Each row carries its source, and whether it is simulated.</small></div>";
    home.onclick = (event) => {
      const { rows, period } = event.target.dataset;
      if (!rows && !period) return;
      Object.assign(this, rows ? { rows } : { period });
      this.show(this.of);
    };
  }
}
