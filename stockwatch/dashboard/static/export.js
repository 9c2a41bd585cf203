// The export's card: what, of which time, in which form; each form is a plain link.

const ROWS = [["candles", "Candles"], ["ticks", "Ticks"]], FORMS = [["csv", "CSV"], ["xlsx", "Excel"], ["parquet", "Parquet"]];
const PERIODS = [["shown", "Shown"], ["day", "Session"], ["week", "7 days"], ["all", "All"]];
const WEEK_MS = 7 * 86_400_000;

class ExportCard {
  constructor() { this.rows = "candles"; this.period = "day"; }

  show(of) {
    const home = place("export");
    if (!home || !of.symbol) return;
    const choice = (group, name, word, on) => `<button type="button" data-${group}="${name}" aria-pressed="${on}">${word}</button>`;
    const from = { shown: of.first, day: of.opened, week: of.at - WEEK_MS, all: 0 }[this.period];
    const asked = new URLSearchParams({ symbol: of.symbol, source: of.source, what: this.rows, minutes: of.minutes });
    if (from) asked.set("from", new Date(from).toISOString());
    const links = FORMS.map(([form, word]) => `<a href="/stockwatch/export?${asked}&format=${form}" download>↓ ${word}</a>`).join("");
    const html = '<div class="sw-export"><span>Rows</span><div class="sw-choice" role="group" aria-label="Rows">' +
      ROWS.map(([name, word]) => choice("rows", name, name === "candles" ? `${of.minutes}-min candles` : word, name === this.rows)).join("") +
      '</div><span>Period</span><div class="sw-choice" role="group" aria-label="Period">' +
      PERIODS.map(([name, word]) => choice("period", name, word, name === this.period)).join("") +
      `</div><span>Download</span><div class="sw-links">${links}</div>` +
      "<small>Times in the exchange's time and UTC. Each row carries its source, and whether it is simulated.</small></div>";
    if (home.text !== html) { home.text = html; home.innerHTML = html; }
    fill("export-of", of.label);
    home.onclick = (event) => {
      const { rows, period } = event.target.dataset;
      if (!rows && !period) return;
      Object.assign(this, rows ? { rows } : { period });
      this.show(of);
    };
  }
}
