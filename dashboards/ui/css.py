"""The one style sheet, filled with the tokens of a theme."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from dashboards.ui.theme import Theme

_SHEET = """
.stApp,[data-testid="stHeader"],[data-testid="stBottom"]{background:@page@!important}
[data-testid="stHeader"]{height:0!important;min-height:0!important}
[data-testid="stToolbar"],[data-testid="stStatusWidget"]{display:none!important}
.stMainBlockContainer{padding:.55rem 1.1rem 1.2rem!important;max-width:1920px}
.stMainBlockContainer *{box-sizing:border-box}
.stApp{font-feature-settings:"tnum";font-variant-numeric:tabular-nums}
[data-testid="stElementContainer"]:has(style){display:none}
/* bar of filters */
.st-key-toolbar{background:@card@;border:1px solid @line@;border-radius:8px;padding:.32rem .6rem!important;gap:.45rem .6rem!important}
.st-key-toolbar [data-testid="stWidgetLabel"]{display:none}
.nl-brand{display:flex;align-items:center;gap:.45rem;font-weight:700;font-size:1.02rem;color:@ink@;white-space:nowrap}
.nl-brand img{width:22px;height:22px;border-radius:6px}
.nl-lang{display:inline-flex;border:1px solid @line@;border-radius:8px;overflow:hidden;font-size:.82rem;line-height:1}
.nl-lang a,.nl-lang b{padding:.5rem .6rem;color:@body@!important;text-decoration:none!important;font-weight:500;white-space:nowrap}
.nl-lang b{background:@primary@22;color:@primary@!important}
/* headline */
.nl-head{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem 1.05rem;font-size:.88rem;color:@body@;padding:.1rem .1rem .45rem;min-height:1.9rem}
.nl-head h1{font-size:1.24rem!important;font-weight:600;margin:0!important;padding:0!important;color:@ink@;line-height:1.3;letter-spacing:0}
.nl-head b{color:@ink@;font-weight:600}
.nl-pill{display:inline-flex;gap:.34em;align-items:center;padding:.06rem .48rem;border-radius:6px;font-size:.8rem;font-weight:500;white-space:nowrap;line-height:1.5}
.nl-good{color:@good0@;background:@good1@}.nl-warn{color:@warn0@;background:@warn1@}.nl-bad{color:@bad0@;background:@bad1@}
.nl-sim{color:@simulated0@;background:@simulated1@;border:1px dashed @simulated0@}
.nl-flat{color:@body@;background:@soft@}
/* cards */
[class*="st-key-card"]{background:@card@;border:1px solid @line@;border-radius:8px;padding:.6rem .75rem .4rem!important;gap:.35rem!important}
.nl-ttl{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem .6rem;font-weight:600;font-size:1rem;color:@ink@;line-height:1.45;margin:0}
.nl-ttl h2{font-size:1rem!important;font-weight:600!important;margin:0!important;padding:0!important;color:@ink@;line-height:1.45;letter-spacing:0}
.nl-ttl small{font-weight:400;color:@muted@;font-size:.8rem;margin-left:auto;white-space:nowrap}
[class*="st-key-card"]>[data-testid="stLayoutWrapper"]:has(>[class*="st-key-foot"]){margin-top:auto}
[data-testid="stLayoutWrapper"]:has(>.st-key-lang){margin-left:auto}
.nl-scroll{max-height:330px;overflow:auto}
.nl-src{font-size:.76rem;color:@muted@;line-height:1.4}
.nl-pc{display:inline-block;min-width:3.2rem;text-align:right}
[class*="st-key-foot"]{flex-wrap:nowrap!important;border-top:1px solid @soft@;padding-top:.15rem;margin-top:auto;gap:.4rem!important}
[class*="st-key-foot"] button{min-height:1.6rem!important;padding:0 .3rem!important}
[class*="st-key-foot"] button p{font-size:.8rem;color:@primary@;white-space:nowrap}
[class*="st-key-foot"] button span{color:@primary@}
[class*="st-key-head"]{gap:.3rem .6rem!important}
[class*="st-key-head"] [data-testid="stWidgetLabel"]{display:none}
/* indicator cards */
.nl-kpis{display:grid;grid-template-columns:1.75fr repeat(var(--n),minmax(0,1fr));gap:.5rem}
.nl-kpi{background:@card@;border:1px solid @line@;border-radius:8px;padding:.5rem .75rem .45rem;min-width:0;display:flex;flex-direction:column;gap:.05rem}
.nl-kpi .l{display:flex;align-items:center;gap:.4rem;font-size:.82rem;color:@muted@;white-space:nowrap;min-height:1.5rem}
.nl-kpi .l .t{overflow:hidden;text-overflow:ellipsis}
.nl-kpi .l .nl-pill{margin-left:auto;font-size:.76rem;padding:0 .38rem}
.nl-kpi .v{font-size:1.5rem;font-weight:650;color:@ink@;line-height:1.22;white-space:nowrap}
.nl-kpi .v small{font-size:.86rem;font-weight:500;color:@body@;margin-left:.22rem}
.nl-kpi .s{font-size:.77rem;color:@muted@;line-height:1.5;min-height:1.16rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.nl-kpi img{width:100%;height:34px;display:block;margin-top:auto;padding-top:2px}
.nl-kpi .two{display:grid;grid-template-columns:auto auto;justify-content:start;gap:0 1.5rem}
.nl-kpi .two .u{font-size:.77rem;color:@muted@}
.nl-dot{display:inline-block;width:.62rem;height:.62rem;border-radius:3px;flex:none}
/* tables */
.nl-tab{width:100%;border-collapse:collapse;font-size:.86rem}
.nl-tab th{font-weight:500;color:@muted@;text-align:right;padding:.15rem .4rem;border:0;border-bottom:1px solid @line@;white-space:nowrap;font-size:.82rem}
.nl-tab td{padding:.16rem .4rem;text-align:right;border:0;border-bottom:1px solid @soft@;white-space:nowrap;height:1.86rem;color:@body@}
.nl-tab td b{color:@ink@;font-weight:500}
.nl-tab tr:last-child td{border-bottom:0}
.nl-tab th:first-child,.nl-tab td:first-child{text-align:left;padding-left:.1rem}
.nl-tab td.n{max-width:13rem;overflow:hidden;text-overflow:ellipsis}
.nl-tab .sum td{border-top:1px solid @line@;font-weight:600;color:@ink@}
.nl-tab .q{color:@muted@;font-size:.78rem}
.nl-bar{display:inline-block;width:64px;height:7px;background:@soft@;border-radius:4px;vertical-align:middle;margin-right:.4rem;overflow:hidden}
.nl-bar i{display:block;height:7px;border-radius:4px}
/* states */
.nl-state{max-width:34rem;margin:11vh auto;background:@card@;border:1px solid @line@;border-radius:12px;padding:2.2rem 2.2rem 1.8rem;text-align:center;color:@body@}
.nl-state .i{font-size:2rem;line-height:1;color:@primary@;margin-bottom:.7rem}
.nl-state h2{font-size:1.2rem!important;color:@ink@;margin:0 0 .4rem!important;padding:0!important}
.nl-state p{margin:.2rem 0 .6rem;font-size:.92rem;line-height:1.6}
.nl-state code{display:inline-block;background:@soft@;color:@ink@;border-radius:6px;padding:.35rem .8rem;font-size:.9rem;margin:.15rem}
.nl-state .d{font-size:.76rem;color:@muted@;overflow-wrap:anywhere}
.nl-none{display:flex;flex-direction:column;align-items:center;justify-content:center;gap:.3rem;min-height:var(--h);color:@muted@;font-size:.88rem;text-align:center;border:1px dashed @line@;border-radius:8px;padding:.6rem}
.nl-none b{color:@body@;font-weight:600}
.nl-foot{font-size:.76rem;color:@muted@;padding:.1rem .2rem;line-height:1.6}
@media (max-width:1100px){.nl-kpis{grid-template-columns:repeat(4,minmax(0,1fr))}.nl-kpi.main{grid-column:span 2}}
@media (max-width:640px){
.stMainBlockContainer{padding:.4rem .6rem 1rem!important}
.nl-kpis{grid-template-columns:repeat(2,minmax(0,1fr));gap:.4rem}
.nl-kpi{padding:.45rem .6rem .4rem}.nl-kpi .v{font-size:1.32rem}
.nl-tab .h{display:none}.nl-head{gap:.2rem .7rem}.nl-head h1{width:100%;font-size:1.12rem!important}
.nl-tab td.n{max-width:9.5rem}
.nl-state{margin:4vh 0;padding:1.6rem 1.1rem}
}
@media print{.st-key-toolbar,[class*="st-key-foot"] button{display:none!important}}
"""


@cache
def sheet(theme: Theme) -> str:
    """Give the style element of a theme."""
    css = _SHEET
    for field in fields(theme):
        value = getattr(theme, field.name)
        if isinstance(value, tuple):
            css = css.replace(f"@{field.name}0@", value[0]).replace(f"@{field.name}1@", value[1])
        else:
            css = css.replace(f"@{field.name}@", str(value))
    return f"<style>{css}</style>"
