/* The page's style sheet. */
#include "view/private.h"

const char *const page_style[] = {
	/* colours */
	":root{color-scheme:light dark;--fg:#1d2330;--mute:#5d6778;--bg:#f7f8fa;--card:#fff;--line:#e1e5eb;--soft:#eef2fb;--bar:#3b6fd8;--link:#2457b8}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--mute:#9aa4b5;--bg:#12151b;--card:#1a1e26;--line:#2d333f;--soft:#222a3a;--bar:#6d9bf5;--link:#8fb3ff}}\n",
	/* text */
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:78rem;padding:2rem 1.5rem 4rem;font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}\n"
	"h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .7rem}\n"
	"h3{font-size:1.3rem;margin:0;overflow-wrap:anywhere}h4{font-size:.85rem;font-weight:600;margin:0 0 .5rem}\n"
	".lead{margin:.3rem 0 1.2rem}.lead,.mute,.note,.empty,th,dt,figcaption small{color:var(--mute)}\n"
	".note{font-size:.85rem;margin:.5rem 0 0}.empty{margin:2rem 0;text-align:center}\n"
	"code{font:13px/1.6 ui-monospace,monospace;overflow-wrap:anywhere}a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\n",
	/* boxes */
	".card,.wide{background:var(--card);border:1px solid var(--line);border-radius:.6rem}.card{padding:.8rem 1rem;min-width:0}\n"
	".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem;margin:.8rem 0}\n"
	".cards .card>*{display:block;font-size:.85rem}.cards b{font-size:1.45rem!important;line-height:1.35;font-weight:600;font-variant-numeric:tabular-nums}\n"
	".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(21rem,100%),1fr));gap:.8rem}\n"
	"figure{margin:0}figcaption{font-weight:600;margin-bottom:.4rem}\n"
	"summary{cursor:pointer;overflow-wrap:anywhere}details ol{padding-left:1.6rem}details li{margin:.2rem 0}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.8rem 0}dd{margin:0;overflow-wrap:anywhere}\n",
	/* tables */
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\n"
	"th,td{padding:.4rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}tbody tr:last-child td{border-bottom:0}\n"
	"th{font-weight:500;font-size:.85rem;white-space:nowrap}.r{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
	".id{overflow-wrap:anywhere;min-width:11rem}.spark{white-space:pre;font:12px/1.9 ui-monospace,monospace;color:var(--bar)}\n"
	"i.bar{display:block;height:.6rem;margin:.45rem 0;border-radius:.2rem;background:var(--bar);min-width:1px}.bars{min-width:6rem;width:10rem}\n",
	/* plots */
	".plot{display:block;width:100%;height:auto;overflow:visible}.plot text{fill:var(--mute);font:14px system-ui,sans-serif}\n"
	".plot .xtick{text-anchor:middle}.plot .ytick{text-anchor:end}.plot .grid{stroke:var(--line)}.plot .tick,.plot .axis{stroke:var(--mute)}\n"
	".plot .line{fill:none;stroke:var(--bar);stroke-width:2;stroke-linejoin:round}.plot rect.bar,.plot circle{fill:var(--bar)}\n",
	/* concepts: what the script makes */
	".tools{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:0 0 .7rem}.tools label{display:flex;gap:.4rem;align-items:center}\n"
	".tools .pages{margin-left:auto;display:flex;gap:.4rem;align-items:center;font-variant-numeric:tabular-nums}\n"
	"input[type=search],select,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:.4rem;padding:.35rem .7rem}\n"
	"input[type=search]{flex:0 1 20rem;min-width:0;width:20rem}button{cursor:pointer}button:disabled{opacity:.4;cursor:default}\n"
	"button:hover:enabled{border-color:var(--bar)}:focus-visible{outline:2px solid var(--bar);outline-offset:1px}\n"
	"th button{all:unset;cursor:pointer}th button:hover,th[aria-sort] button{color:var(--fg)}th button:focus-visible{outline:2px solid var(--bar)}\n"
	"th[aria-sort=ascending] button::after{content:' ↑'}th[aria-sort=descending] button::after{content:' ↓'}\n"
	"#list tbody tr:hover{background:var(--soft)}#list .bars{width:7rem;padding-left:0}#list tr.on{background:var(--soft)}\n"
	".thumb{height:3.2rem;max-width:6rem;border-radius:.25rem;object-fit:cover;vertical-align:middle;margin:0 .25rem .25rem 0;background:var(--soft)}\n",
	"#one{margin:0 0 1rem;scroll-margin-top:1rem;border-color:var(--bar)}#one header{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline}\n"
	"#one nav{margin-left:auto;display:flex;gap:1rem}#one .facts{display:flex;flex-wrap:wrap;gap:.1rem 1.4rem;margin:.3rem 0 1rem;color:var(--mute)}\n"
	"#one .facts b{color:var(--fg);font-weight:600;font-variant-numeric:tabular-nums}\n"
	"#one .parts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.4rem 2rem}#one .parts>div{min-width:0}\n"
	"#one .id{min-width:4rem}#one .parts>div>div+div{margin-top:1.4rem}\n"
	"#one td,#one th{padding:.25rem .7rem .25rem 0}#one td:last-child,#one th:last-child{padding-right:0}\n"
	".hist{display:flex;align-items:flex-end;gap:1px;height:8rem;border-bottom:1px solid var(--mute)}.hist i{flex:1;background:var(--bar);border-radius:1px 1px 0 0}\n"
	".hist i[data-n]{min-height:1px}.scale{display:flex;justify-content:space-between;font-size:.85rem;color:var(--mute);font-variant-numeric:tabular-nums}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(7rem,1fr));gap:.6rem}.tiles .thumb{display:block;width:100%;max-width:none;height:7rem;margin:0}\n"
	".tiles figcaption{font-weight:400;font-size:.8rem;line-height:1.3;margin:.2rem 0 0;overflow-wrap:anywhere}\n",
	/* where scripts do not run */
	"noscript .id,noscript td:last-child{min-width:16rem}\n",
	/* narrow */
	"@media(max-width:40rem){body{padding:1rem .8rem 3rem}h1{font-size:1.35rem}.cards{grid-template-columns:repeat(2,1fr);gap:.5rem}.card{padding:.6rem .7rem}\n"
	".cards b{font-size:1.2rem!important}.plot text{font-size:15px}th,td{padding:.35rem .5rem}.lo{display:none}#list td:last-child{white-space:nowrap}dl{grid-template-columns:1fr}dd{margin:0 0 .4rem}\n"
	"input[type=search]{flex:1 1 100%}.tools .pages{margin-left:0}}\n",
	NULL
};
