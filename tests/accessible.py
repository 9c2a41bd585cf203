"""axe-core on a page, and what it cannot judge: whether the charts' own words can be read."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
# What is Streamlit's own and cannot be mended here: (rule, part of the element's HTML) → why. Nothing so far.
NOT_OURS: dict[tuple[str, str], str] = {}
_CONTRAST = """() => { const luminance = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * x + .7152 * y + .0722 * z; };
  const numbers = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const paper = numbers(getComputedStyle(document.querySelector('.stApp')).backgroundColor);
  return [...document.querySelectorAll('.sw-plot text')].filter(text => text.textContent.trim() && text.getClientRects().length).map(text => {
    const style = getComputedStyle(text), box = text.closest('.annotation')?.querySelector('rect.bg');
    const fill = box ? getComputedStyle(box) : undefined, solid = fill && Number(fill.fillOpacity) > .5 && numbers(fill.fill)[3] !== 0;
    return [text.textContent, parseFloat(style.fontSize), ratio(numbers(style.fill), solid ? numbers(fill.fill) : paper)]; }); }"""


def violations(page: Page) -> list[str]:
    """Serious and critical ones of every rule of axe-core (WCAG A, AA and best practice), one line each."""
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate("() => axe.run(document).then(told => told.violations)")
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}: {node.get('failureSummary', '')[:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if not any(name == rule["id"] and part in node["html"] for name, part in NOT_OURS)
    ]


def chart_words(page: Page) -> list[tuple[str, float, float]]:
    """Each text in the charts: its words, size in px, contrast with what is behind it."""
    return [tuple(word) for word in page.evaluate(_CONTRAST)]
