// The page's end of the WebSocket: what is watched, the states of its parts, and the clock of the program.

const LOST_MS = 2300, LOOK_MS = 300, RETRY_MS = [300, 1000, 2000, 4000];

// The other half of patch.py.
function patched(old, patch) {
  const [kind, what, rest] = patch;
  if (kind === "=") return what;
  if (kind === "+") return [...old.slice(0, what), ...rest];
  if (kind === "#") return old.map((value, n) => (n in what ? patched(value, what[n]) : value));
  const made = { ...old };
  for (const key of rest) delete made[key];
  for (const [key, part] of Object.entries(what)) made[key] = patched(made[key], part);
  return made;
}

class Live {
  constructor(changed, connected) {
    this.changed = changed;      // (name, state): a part has a new state
    this.connected = connected;  // (yes): the connection is there, or lost
    this.states = new Map();     // part name → {version, state}
    this.names = [];
    this.offset = 0;             // the program's clock minus this one's, ms
    this.tries = 0;
    this.open();
    this.watchdog = setInterval(() => this.look(), LOOK_MS);
  }

  open() {
    this.heard = Date.now();
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/stockwatch/live`);
    this.socket = socket;
    socket.onopen = () => { this.tries = 0; this.say({ watch: this.names }); };
    socket.onmessage = (event) => { if (this.socket === socket) this.take(JSON.parse(event.data)); };
    socket.onclose = () => { if (this.socket === socket) this.lose(); };
  }

  take(message) {
    this.heard = Date.now();
    this.connected(true);
    if (message.now) { this.offset = message.now - Date.now(); return; }
    const had = this.states.get(message.c);
    if (message.p && (!had || had.version !== message.v - 1)) { this.say({ again: message.c }); return; }
    const state = message.p ? patched(had.state, message.p) : message.f;
    this.states.set(message.c, { version: message.v, state });
    if (this.names.includes(message.c)) this.changed(message.c, state);
  }

  watch(names) {
    for (const name of this.states.keys()) if (!names.includes(name)) this.states.delete(name);
    this.names = names;
    this.say({ watch: names });
  }

  say(what) { if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(what)); }

  look() { if (this.socket && Date.now() - this.heard > LOST_MS) this.lose(); }

  lose() {
    const old = this.socket;
    this.socket = undefined;
    old.close();
    this.connected(false);
    this.retry = setTimeout(() => this.open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }

  close() {
    clearInterval(this.watchdog);
    clearTimeout(this.retry);
    const old = this.socket;
    this.socket = undefined;
    old?.close();
  }
}
