// The keyboard: what each key does, the list of them, and the switch for those whose software speaks or types letters by itself.

const KEYS = [["← →", "the ticker before, the next one"], ["Shift ← →", "candle by candle, older ones too"], ["+ −", "closer, further"],
  ["0", "the charts as they were"], ["m", "candles of other minutes"], ["w", "another window of the line"], ["a v", "average, VWAP"],
  ["p", "presenter mode"], ["?", "these keys"], ["Esc", "closes them; leaves the candle, presenter mode"]];
const TYPED = "input, textarea, select, [role=combobox], [role=listbox], [contenteditable]";
const SILENT = "stockwatch-no-keys";

class Keys {
  constructor(stage) {
    this.stage = stage;
    this.heard = (event) => this.take(event);
    document.addEventListener("keydown", this.heard);
    this.pressed = (event) => { const asked = event.target.closest("[data-act]")?.dataset.act; if (asked) stage.act(asked); };
    document.addEventListener("click", this.pressed);
  }

  // A browser may keep nothing for a page, or refuse to be asked.
  get off() { try { return localStorage.getItem(SILENT) === "1"; } catch { return this.silent ?? false; } }
  set off(yes) { this.silent = yes; try { localStorage.setItem(SILENT, yes ? "1" : "0"); } catch { /* until the page is closed */ } }

  take(event) {
    const { stage } = this;
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED)) return;
    if (this.off && !["?", "Escape"].includes(event.key)) return;
    const turn = (list, now) => list[(list.indexOf(now) + 1) % list.length];
    const does = { m: () => stage.act("minutes", String(turn(WIDTHS, stage.minutes))), p: () => stage.presenter.turn(),
      a: () => stage.act("line", "average"), v: () => stage.act("line", "vwap"), "?": () => this.help(),
      w: () => stage.act("window", String(turn(WINDOWS.map(([n]) => n), stage.window))), Escape: () => stage.leave(),
      "+": () => stage.zoom(0.5), "=": () => stage.zoom(0.5), "-": () => stage.zoom(2), 0: () => stage.reset() };
    for (const [key, by] of [["ArrowLeft", -1], ["ArrowRight", 1]]) does[key] = () => (event.shiftKey ? stage.step(by) : stage.next(by));
    if (!Object.hasOwn(does, event.key)) return;
    event.preventDefault();
    does[event.key]();
  }

  help() {
    const box = document.querySelector("dialog.sw-keys") ?? document.body.appendChild(document.createElement("dialog"));
    box.className = "sw-keys";
    box.setAttribute("aria-label", "Keys");
    box.innerHTML = `<h2>Keys</h2><dl>${KEYS.map(([key, does]) => `<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`).join("")}</dl>` +
      '<label><input type="checkbox"> Use these keys</label><form method="dialog"><button autofocus>Close</button></form>';
    const use = box.querySelector("input");
    use.checked = !this.off;
    use.onchange = () => { this.off = !use.checked; };
    if (!box.open) box.showModal();
  }

  close() {
    document.removeEventListener("keydown", this.heard);
    document.removeEventListener("click", this.pressed);
  }
}
