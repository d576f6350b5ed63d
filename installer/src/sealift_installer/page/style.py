"""The one style sheet of a report, for screens light and dark and for paper."""

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f6f8; --text: #16202a; --quiet: #52606d;
  --line: #d3dae1; --accent: #1a5fa8; --bar: #2f78c4; --soft: #a9c8e8;
  --good: #17663a; --good-ground: #e3f4e9; --warn: #7a4b00; --warn-ground: #fdf0d5;
  --bad: #9b1c1c; --bad-ground: #fde4e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11171d; --raised: #1a222a; --text: #e5ebf0; --quiet: #a3b1bd;
    --line: #33404c; --accent: #85b9ef; --bar: #5b9fe0; --soft: #2c4f73;
    --good: #8ad9a8; --good-ground: #14301f; --warn: #f0c274; --warn-ground: #36280d;
    --bad: #f5a3a3; --bad-ground: #3d1818;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif;
}
a { color: var(--accent); }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; padding-top: .5rem; border-top: 1px solid var(--line);
  font-size: 1.25rem; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
code { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
time { white-space: nowrap; }
.quiet { color: var(--quiet); }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1rem 0 0; padding: 0;
  list-style: none; }
.badge { display: inline-block; margin: 0 .25rem .25rem 0; padding: .05rem .55rem;
  border-radius: 1rem; font-size: .85rem; white-space: nowrap;
  background: var(--raised); color: var(--text); }
.good { background: var(--good-ground); color: var(--good); }
.warn { background: var(--warn-ground); color: var(--warn); }
.bad { background: var(--bad-ground); color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; padding: 0; list-style: none; }
.tiles li { padding: .75rem 1rem; border-radius: .5rem; background: var(--raised); }
.tiles strong { display: block; font-size: 1.35rem; line-height: 1.3; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
caption { padding-bottom: .35rem; color: var(--quiet); text-align: left; }
th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 10rem; }
dl { margin: .75rem 0; }
dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: .25rem 1rem; padding: .2rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
ul.plain { margin: .25rem 0; padding-left: 1.1rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figcaption { color: var(--quiet); font-size: .92rem; }
svg { display: block; width: 100%; min-width: 34rem; height: auto; }
svg text { fill: var(--text); font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .amount { fill: var(--quiet); }
svg .packed { fill: var(--bar); }
svg .unpacked { fill: var(--soft); }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .35rem 0 1rem;
  border-radius: .15rem; vertical-align: -.05rem; }
.key.packed { background: var(--bar); }
.key.unpacked { background: var(--soft); }
details { margin: .5rem 0; padding: .5rem .9rem; border: 1px solid var(--line);
  border-radius: .5rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
ol.line { margin: 1rem 0; padding: 0 0 0 1.25rem; border-left: 2px solid var(--line);
  list-style: none; }
ol.line > li { position: relative; margin: 0 0 1.1rem; }
ol.line > li::before { position: absolute; left: -1.63rem; top: .45rem; width: .65rem;
  height: .65rem; border-radius: 50%; background: var(--accent); content: ""; }
ol.line > li.refuse::before { background: var(--bad); }
ol.line > li.override::before { background: var(--warn); }
@media (max-width: 40rem) { dl > div { grid-template-columns: 1fr; gap: 0; } }
@media print {
  :root { --ground: #fff; --raised: #f4f6f8; --text: #000; --quiet: #444; --line: #bbb;
    --accent: #000; --good: #000; --warn: #000; --bad: #000; color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  nav, .skip { display: none; }
  .wide { overflow: visible; }
  h2, h3 { break-after: avoid; }
  tr, details, figure, ol.line > li { break-inside: avoid; }
  .badge { border: 1px solid var(--line); }
  svg, .key { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def policy() -> str:
    """Return the Content-Security-Policy of a report: this style sheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode("ascii")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
