"""The style sheet of the report: system fonts, light and dark, and nothing that has to be fetched."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #56606e; --paper: #ffffff; --panel: #f3f5f8;
  --line: #d5dae1; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #a7b0bd; --paper: #14181e; --panel: #1e242c; --line: #38414d; --accent: #7cb8ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 78rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--accent); }
nav a { margin-right: 1.1rem; }
.note, header p, nav { color: var(--soft); margin: .25rem 0 .9rem; max-width: 62rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: .9rem; margin: 0; }
.cards > div { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; }
.cards dt { color: var(--soft); font-size: .9rem; }
.cards dd { margin: 0; }
.cards strong { display: block; font-size: 1.45rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; margin: 0 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 .4rem; }
th, td { padding: .32rem .8rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; background: var(--panel); }
tbody th { font-weight: 500; white-space: nowrap; }
.number { text-align: right; }
td { white-space: nowrap; }
td:not(.number) { white-space: normal; }
figure { margin: 0 0 1.6rem; }
figure img { display: block; max-width: 100%; height: auto; background: #000; border-radius: .4rem; }
figcaption { font-size: .9rem; color: var(--soft); margin-top: .4rem; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; padding: .5rem .8rem; margin: 0 0 1rem; list-style: none;
  background: #000; color: #e8e8e8; border-radius: .4rem; font-size: .9rem; width: fit-content; }
.legend svg { width: 2.2rem; height: .9rem; vertical-align: -.1rem; margin-right: .45rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.curves svg { width: 100%; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; }
.curves text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.curves text.title { fill: var(--ink); font-weight: 600; font-size: 12px; }
.axis { fill: none; stroke: var(--soft); stroke-width: 1; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.dot { fill: var(--accent); }
details { margin: .5rem 0 1rem; }
summary { cursor: pointer; color: var(--accent); }
@media print { body { max-width: none; } details > * { display: block; } figure, table { break-inside: avoid; } }
"""
