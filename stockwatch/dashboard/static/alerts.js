// The alerts' list, and a toast for each that comes while the page is open.

const TOAST_MS = 6000, MOST_TOASTS = 3;

class AlertList {
  constructor(pick) {
    this.pick = pick;
    // There before it says anything: a screen reader reads only what comes into a region that it knows.
    this.toasts = document.querySelector(".sw-toasts") ?? document.body.appendChild(document.createElement("div"));
    this.toasts.className = "sw-toasts";
    this.toasts.setAttribute("role", "status");
  }

  show({ rule = "", order = [], items = {} }) {
    const home = place("alerts");
    if (!home) return;
    fill("alert-rule", rule);
    if (!order.length) fill("alerts", '<p class="sw-none">No alerts yet.</p>');
    else this.draw(home, order, items);
    const fresh = order.filter((key) => this.seen && !this.seen.has(key));
    for (const key of fresh.slice(0, MOST_TOASTS)) this.toast(items[key]);
    this.seen = new Set(order);
  }

  // Items that stay are left alone, so that a reader's focus stays in them.
  draw(home, order, items) {
    if (home.text !== undefined || !home.querySelector("ol")) {
      home.text = undefined;
      home.innerHTML = '<ol class="sw-alerts"></ol>';
    }
    const list = home.querySelector("ol"), old = new Map([...list.children].map((item) => [item.dataset.key, item]));
    for (const [key, item] of old) if (!order.includes(key)) item.remove();
    order.forEach((key, number) => {
      const item = old.get(key) ?? this.item(key, items[key]);
      if (list.children[number] !== item) list.insertBefore(item, list.children[number] ?? null);
    });
  }

  item(key, { clock, symbol, change, way, more }) {
    const item = document.createElement("li");
    item.dataset.key = key;
    item.innerHTML = '<time></time><button type="button"></button><b></b><small></small>';
    item.querySelector("time").textContent = clock;
    const button = item.querySelector("button");
    button.textContent = symbol;
    button.onclick = () => this.pick(symbol);
    Object.assign(item.querySelector("b"), { textContent: change, className: way });
    item.querySelector("small").textContent = more;
    return item;
  }

  toast({ said, way }) {
    const toast = Object.assign(document.createElement("div"), { className: `sw-toast ${way}`, textContent: said });
    this.toasts.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }
}
