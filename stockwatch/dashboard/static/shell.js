// Where the stage stands: in the shell (shell.py) until Streamlit has made its own place, then there, as it is.

const SHELL_MS = 60_000;  // it is live meanwhile; by then Streamlit has come on any machine, or says itself what is wrong
const CHARTS_MS = 1500;   // so long the charts come first

let early;
const shell = document.querySelector(".sw-shell");
if (shell) {
  const streamlit = document.getElementById("sw-then").href;
  const begin = () => { if (early) early.drawn = undefined; import(streamlit); };  // once, however often it is asked for
  setTimeout(begin, CHARTS_MS);
  setTimeout(() => { if (early) { shell.remove(); early.close(); early = undefined; } }, SHELL_MS);
  early = new Stage(shell.querySelector(".sw-stage"), JSON.parse(document.getElementById("sw-data").textContent));
  early.drawn = () => {
    if (Object.values(early.cards).every((card) => card.plot.data)) requestAnimationFrame(() => setTimeout(begin));  // it is painted
  };
}

window.stockwatch = (component) => {
  let root = component.parentElement.querySelector(".sw-stage");
  if (!root.stage && early) {
    root.replaceWith(early.root);
    root = early.root;
    early = undefined;
  }
  root.stage ??= new Stage(root, component.data);
  root.stage.update(component);
  if (shell?.isConnected) { shell.remove(); root.stage.settle(); }
  return () => { root.stage?.close(); root.stage = undefined; };
};
