// The alerts' list, and a toast for each that comes while the page is open.

const TOAST_MS = 6000, MOST_TOASTS = 3;

class AlertList {
  constructor(pick) { this.pick = pick; }

  show({ rule = "", order = [], items = {} }) {
    const home = place("alerts");
    if (!home) return;
    fill("alert-rule", rule);
    const text = JSON.stringify([order, items]);
    if (home.text !== text) {
      home.text = text;
      home.innerHTML = order.length ? '<ol class="sw-alerts"></ol>' : '<p class="sw-none">No alerts yet.</p>';
      home.firstElementChild.append(...order.map((key) => this.item(items[key])).filter((item) => order.length && item));
    }
    const fresh = order.filter((key) => this.seen && !this.seen.has(key));
    for (const key of fresh.slice(0, MOST_TOASTS)) this.toast(items[key]);
    this.seen = new Set(order);
  }

  item({ clock, symbol, change, way, said }) {
    const item = document.createElement("li");
    item.innerHTML = '<time></time><button type="button"></button><b></b><small></small>';
    item.querySelector("time").textContent = clock;
    const button = item.querySelector("button");
    button.textContent = symbol;
    button.onclick = () => this.pick(symbol);
    Object.assign(item.querySelector("b"), { textContent: change, className: way });
    item.querySelector("small").textContent = said;
    return item;
  }

  toast({ said, way }) {
    const home = document.querySelector(".sw-toasts") ?? document.body.appendChild(document.createElement("div"));
    home.className = "sw-toasts";
    home.setAttribute("role", "status");
    const toast = Object.assign(document.createElement("div"), { className: `sw-toast ${way}`, textContent: said });
    home.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }
}
