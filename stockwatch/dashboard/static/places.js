// The page's places, which are filled from outside, and the words that go into them.

function place(name) { return document.querySelector(`[data-sw="${name}"]`); }
function fill(name, html) {
  const found = place(name);
  if (found && found.text !== html) { found.text = html; found.innerHTML = html; }
}
// The choices keep their buttons, so that a reader's focus stays where it is.
function press(home, isOn) {
  for (const button of home.querySelectorAll("button")) button.setAttribute("aria-pressed", String(isOn(button)));
}
function ago(seconds) {
  if (seconds < 120) return `${Math.max(seconds, 0).toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} d`;
}
