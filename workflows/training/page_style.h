#pragma once

namespace scopenode::workflows {

/// Black on white, readable in print and by the colour-blind; no font that has to be fetched.
inline constexpr const char* kPageStyle = R"(
*{box-sizing:border-box}
body{font:15px/1.5 "DejaVu Sans",Verdana,Arial,sans-serif;color:#21242b;background:#fff;max-width:1160px;
margin:0 auto;padding:28px 28px 48px}
h1{font-size:25px;line-height:1.25;margin:0 0 6px}
h2{font-size:19px;margin:40px 0 8px;padding-top:14px;border-top:1px solid #c5c9d1}
h3{font-size:15px;margin:24px 0 6px}
p{margin:6px 0 10px;max-width:78em}
.muted{color:#555b66}
.warning{border:3px double #8c1d18;color:#8c1d18;font-weight:bold;padding:8px 14px;margin:0 0 18px}
.verdict{border:2px solid #21242b;border-left-width:12px;padding:14px 18px;margin:18px 0}
.verdict.no{border-style:solid;border-left-style:double}
.verdict .answer{font-size:20px;font-weight:bold;margin:0 0 4px}
.tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:12px;margin:14px 0 4px}
.tile{border:1px solid #c5c9d1;padding:10px 12px}
.tile b{display:block;font-size:24px;line-height:1.3}
.tile span.q{display:block;font-weight:bold}
ul{margin:6px 0 10px;padding-left:22px}
li{margin:3px 0}
.charts{display:grid;grid-template-columns:repeat(3,1fr);gap:18px;margin:10px 0}
.small{display:grid;grid-template-columns:repeat(5,1fr);gap:14px;margin:10px 0}
.six{grid-template-columns:repeat(6,1fr)}
svg{display:block;width:100%;height:auto}
figure{margin:0;break-inside:avoid}
table{border-collapse:collapse;margin:8px 0 14px;font-size:13.5px}
caption{text-align:left;font-weight:bold;padding:0 0 4px}
th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid #dfe2e7}
thead th{border-bottom:2px solid #21242b;vertical-align:bottom}
.n{text-align:right;font-variant-numeric:tabular-nums}
td.n,th.n{white-space:nowrap}
tbody th{font-weight:normal}
.bad{font-weight:bold;text-decoration:underline}
.pair{display:flex;flex-wrap:wrap;gap:6px 56px}
.checks td.say{color:#555b66;font-size:12.5px;border-bottom:1px solid #c5c9d1;padding-bottom:7px}
.checks tr.top td,.checks tr.top th{border-bottom:0;padding-bottom:0}
.scroll{overflow-x:auto}
code{font-size:13px;overflow-wrap:anywhere}
.any{overflow-wrap:anywhere}
@media (max-width:980px){.ci{display:block}table{font-size:12.5px}th,td{padding-right:8px}th.n{white-space:normal}
.small,.six{grid-template-columns:repeat(3,1fr)}.charts{grid-template-columns:repeat(2,1fr)}}
@media (max-width:620px){.small,.six{grid-template-columns:repeat(2,1fr)}.charts,.tiles{grid-template-columns:1fr}}
@page{size:A4;margin:14mm 12mm}
@media print{code{font-size:inherit}.ci{display:block}body{padding:0;max-width:none;font-size:11.5px}h1{font-size:19px}h2{font-size:15px;margin-top:22px}
h3{font-size:12.5px;margin-top:14px}h2,h3,caption{break-after:avoid}tr,.tile,.verdict,.warning{break-inside:avoid}
table{font-size:10.5px}th,td{padding-right:9px}.checks td.say{font-size:9.5px}
.charts{grid-template-columns:repeat(3,1fr);gap:10px}.small{grid-template-columns:repeat(5,1fr);gap:8px}
.six{grid-template-columns:repeat(6,1fr)}.scroll{overflow:visible}.checks tr.top{break-after:avoid}}
)";

}  // namespace scopenode::workflows
