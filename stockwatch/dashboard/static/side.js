// The sidebar's chain: its HTML comes anew when a state changes; numbers and ages are written in place, so that neither the
// reader's focus nor a running dot is lost. A dot runs down the line to a hop when more has passed into it.

const DOT_MS = 900;

class Sidebar {
  constructor() { this.state = {}; this.passed = {}; }

  show(state) {
    this.state = state;
    this.draw();
    for (const [hop, count] of Object.entries(state.passed ?? {})) {
      if (this.passed[hop] !== undefined && this.passed[hop] !== count) this.dot(hop);
    }
    this.passed = state.passed ?? {};
  }

  // now: the program's clock, ms. Also puts everything back where the page has made its place anew.
  draw(now = this.now ?? Date.now()) {
    this.now = now;
    fill("side", this.state.side ?? "");
    fill("bar", this.state.bar ?? "");
    for (const slot of place("side")?.querySelectorAll("[data-told]") ?? []) {
      const [text, moment] = this.state.told?.[slot.dataset.told] ?? [""];
      const words = moment ? text.replace("{}", ago((now - moment) / 1000)) : text;
      if (slot.textContent !== words) slot.textContent = words;
    }
  }

  dot(hop) {
    const line = place("side")?.querySelector(`[data-flow="${hop}"].flows`);
    if (!line || document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const dot = line.querySelector("i") ?? line.appendChild(document.createElement("i"));
    if (dot.getAnimations().length) return;  // one at a time, however quickly they come
    const way = [-line.previousElementSibling.clientHeight + 12, line.clientHeight + 4];  // from one hop's mark to the next one's
    dot.animate(way.map((y) => ({ transform: `translateY(${y}px)`, opacity: 1 })), { duration: DOT_MS, easing: "ease-in-out" });
  }
}
