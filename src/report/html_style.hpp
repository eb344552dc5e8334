#pragma once

#include <string_view>

// How reports look: light and dark, wide and narrow, on paper. Private to src/report.

namespace trmml::report {

inline constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --soft: #5f6772;
  --rule: #dde1e6; --wash: #f5f6f8; --edge: #b9c0c8; --track: #eceff2; --grid: #e6e9ed;
  --axis: #8b95a1; --green: #18703a; --red: #b3261e; --s0: #1f5fa8; --s1: #c2570c;
  --s2: #18703a; --s3: #7a3fb0; --s4: #a3790b; --s5: #0d7c8c; --s6: #b8326b;
  --s7: #4a5563; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #15181c;
  --ink: #e4e7eb; --soft: #9ba5b0; --rule: #30363d; --wash: #1e2227; --edge: #4b545e;
  --track: #2a3037; --grid: #272c32; --axis: #6d7883; --green: #55b87c; --red: #f2796e;
  --s0: #6ba7ec; --s1: #f08b45; --s2: #55b87c; --s3: #b98aea; --s4: #d6ab3a;
  --s5: #3fb6c6; --s6: #ee75a6; --s7: #a3afbb; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Noto Sans", "DejaVu Sans", sans-serif; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em;
  margin: 0; overflow-wrap: anywhere; }
.subtitle { margin: .4rem 0 0; color: var(--soft); }
h2 { font-size: 1.2rem; line-height: 1.3; font-weight: 650; margin: 2.75rem 0 .75rem; }
p { max-width: 42rem; margin: .75rem 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(11rem, 42%), 1fr));
  gap: .9rem 1.5rem; margin: 1.25rem 0; }
dl.facts dt { font-size: .8rem; color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; font-size: .92rem; min-width: 60%;
  font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: .86rem; margin: 1.25rem 0 -.75rem; }
th, td { padding: .38rem .9rem .38rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th { font-weight: 600; border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th:last-child, td:last-child { padding-right: 0; }
tr.best td { font-weight: 650; }
.charts { display: grid; gap: 1.75rem 2rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.chart { margin: 0; min-width: 0; max-width: 36rem; }
.wide { margin: 1.25rem 0; }
.wide .columns { display: grid; gap: 0 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.bars { display: grid; grid-template-columns: fit-content(45%) minmax(6rem, 1fr) auto;
  gap: .22rem .7rem; align-items: center; align-content: start; font-size: .85rem;
  line-height: 1.25; max-width: 44rem; }
@media (max-width: 53rem) { .wide .columns { gap: .22rem .7rem; align-items: center;
  grid-template-columns: fit-content(45%) minmax(6rem, 1fr) auto; }
  .wide .bars { display: contents; } }
.bars .n { overflow-wrap: anywhere; }
.bars .v { text-align: right; font-variant-numeric: tabular-nums; }
.bars svg { height: .8rem; }
figcaption { font-size: .92rem; font-weight: 600; margin-bottom: .3rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
.line { stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; fill: none; }
.key { stroke: var(--c); stroke-width: 2.5; } .fill { fill: var(--c); }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: 0 0 .3rem; padding: 0;
  list-style: none; font-size: .82rem; color: var(--soft); }
.keys svg { display: inline-block; width: 22px; height: 8px; margin-right: .35rem;
  vertical-align: middle; }
.panels { display: grid; gap: 2rem 1.75rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); }
.panel { border-top: 1px solid var(--ink); padding-top: .75rem; min-width: 0; }
.panel h3 { font-size: .92rem; font-weight: 600; margin: 0 0 .5rem;
  overflow-wrap: anywhere; }
.panel h4, .legend dt { font-size: .78rem; font-weight: 400; color: var(--soft);
  margin: .7rem 0 .25rem; }
.panel > img { display: block; width: 100%; border-radius: 3px; }
.labels { display: flex; flex-wrap: wrap; gap: .3rem; margin: 0; padding: 0;
  list-style: none; font-size: .82rem; line-height: 1.35; }
.labels li { padding: .08rem .5rem; border-radius: 3px; border: 1px solid transparent;
  overflow-wrap: anywhere; }
.labels .present { background: var(--green); color: var(--paper); }
.labels .absent { border-color: var(--edge); color: var(--soft); text-decoration: line-through; }
.labels .hidden { border: 1px dashed var(--green); color: var(--green); }
.labels .more { color: var(--soft); padding-left: 0; }
.guesses { margin: 0; padding: 0; list-style: none; font-size: .82rem; line-height: 1.35; }
.guesses li { display: grid; grid-template-columns: 1.1rem 1fr 4.5rem 2.6rem; gap: .4rem;
  align-items: center; padding: .1rem 0; }
.guesses .n { overflow-wrap: anywhere; }
.guesses .m { font-weight: 700; text-align: center; }
.guesses .v { text-align: right; font-variant-numeric: tabular-nums; }
.guesses .b { position: relative; height: .55rem; background: var(--track); }
.guesses .b i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--axis); }
.guesses .b b { position: absolute; top: -2px; bottom: -2px; width: 1px;
  background: var(--ink); }
.guesses .right .m { color: var(--green); } .guesses .right .b i { background: var(--green); }
.guesses .wrong .m { color: var(--red); } .guesses .wrong .b i { background: var(--red); }
.guesses .missed .m { color: var(--red); }
.guesses .low { color: var(--soft); }
h3.title { font-size: .92rem; font-weight: 600; margin: 1.25rem 0 .4rem; }
.pictures { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 8.5rem), 1fr)); }
.pictures figure { margin: 0; break-inside: avoid; }
.pictures img { display: block; max-width: 100%; border-radius: 2px; }
.maps { display: grid; gap: .5rem; grid-template-columns: repeat(3, minmax(0, 1fr)); }
.maps figure { margin: 0; }
.maps img { display: block; width: 100%; border-radius: 2px; }
.maps figcaption, .pictures figcaption { font-size: .74rem; font-weight: 400;
  line-height: 1.25; color: var(--soft);
  margin: .2rem 0 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 2rem; background: var(--wash);
  padding: .35rem 1rem .8rem; margin: 1.25rem 0; font-size: .82rem; }
.legend dd { margin: 0; }
.legend .guesses { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, auto));
  gap: 0 1.25rem; }
.legend .guesses li { grid-template-columns: 1.1rem auto; }
@media print { body { padding: 0; } .panel, .chart, tr { break-inside: avoid; } }
)css";

}  // namespace trmml::report
