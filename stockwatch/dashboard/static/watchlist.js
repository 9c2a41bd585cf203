// The watchlist: a row a ticker, its cells updated in place; a click, or Enter on its button, shows the ticker.

const BELL = '<svg class="sw-bell" viewBox="0 0 16 16" aria-hidden="true"><path fill="none" d="M8 1.8a4.2 4.2 0 0 0-4.2 4.2c0 4-1.6 5-1.6 5.8h11.6c0-.8-1.6-1.8-1.6-5.8A4.2 4.2 0 0 0 8 1.8ZM6.5 14.2h3"/></svg>';

class Watchlist {
  constructor(pick) {
    this.pick = pick;
    this.rows = new Map();
  }

  // The table stands where the page has its place for it; made anew when the page has made that anew.
  body() {
    const home = place("list");
    if (!home) return undefined;
    if (!home.firstElementChild) {
      home.innerHTML = '<table class="sw-list"><thead><tr><th scope="col">Ticker</th><th scope="col" class="num">Last</th>' +
        '<th scope="col" class="num">Change</th><th scope="col" class="wide">Session</th><th scope="col">Source</th>' +
        '<th scope="col">Alerts</th></tr></thead><tbody></tbody></table>';
      home.onclick = (event) => { const row = event.target.closest("tr[data-symbol]"); if (row) this.pick(row.dataset.symbol); };
      this.rows.clear();
    }
    return home.querySelector("tbody");
  }

  show(rows, chosen) {
    const body = this.body();
    if (!body) return;
    for (const [symbol, row] of this.rows) if (!(symbol in rows)) { row.remove(); this.rows.delete(symbol); }
    for (const [symbol, told] of Object.entries(rows)) {
      const row = this.rows.get(symbol) ?? this.add(body, symbol);
      const set = (name, text) => { const cell = row.querySelector(`.${name}`); if (cell.textContent !== text) cell.textContent = text; };
      set("last", told.last);
      set("change", told.change);
      row.querySelector(".change").className = `num change ${told.way}`;
      set("word", told.word);
      set("said", told.word === "live" ? "" : told.word);
      this.bell(row.querySelector(".alerts"), told.alerts ?? 0);
      const line = row.querySelector("path");
      if (line.getAttribute("d") !== told.line) line.setAttribute("d", told.line);
      line.setAttribute("class", told.way);
    }
    this.mark(chosen);
  }

  add(body, symbol) {
    const row = document.createElement("tr");
    row.dataset.symbol = symbol;
    row.innerHTML = '<th scope="row"><button type="button"></button><small class="said"></small></th><td class="num last"></td>' +
      '<td class="num change"></td><td class="wide"><svg viewBox="0 0 84 22" aria-hidden="true"><path fill="none"/></svg></td>' +
      '<td class="word"></td><td class="alerts"></td>';
    row.querySelector("button").textContent = symbol;
    body.append(row);
    this.rows.set(symbol, row);
    return row;
  }

  // A drawing, not a letter: many machines have no font with bells.
  bell(cell, count) {
    if (cell.dataset.count === String(count)) return;
    cell.dataset.count = count;
    cell.innerHTML = count ? `${BELL}<span class="sw-unseen">alerts: </span>${count}` : "";
  }

  mark(chosen) {
    for (const [symbol, row] of this.rows) {
      row.classList.toggle("chosen", symbol === chosen);
      row.querySelector("button").setAttribute("aria-current", String(symbol === chosen));
    }
  }
}
