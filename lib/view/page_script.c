/* The page's script: makes of its data a table of concepts, sorted, filtered and
 * in pages, and a section for the concept that the address names (#latent-17).
 * Texts enter the document as text only. */
#include "view/private.h"

const char *const page_script[] = {
	/* what both need */
	"'use strict';\n"
	"const PAGE=50,[LATENT,NAME,COSINE,RATIO,ROWS,MEAN,MAX,LEVEL,VALUES,EXAMPLES,TOGETHER,LEVELS,FIRED]=Array(13).keys();\n"
	"const data=document.getElementById('data');\n"
	"if(data)concepts(JSON.parse(data.textContent),document.getElementById('concepts'));\n"
	"function el(tag,props,...inside){const e=Object.assign(document.createElement(tag),props);e.append(...inside);return e}\n"
	"function fixed(v,digits=2){return v===null?'':v.toFixed(digits)}\n"
	"function count(n){return n.toLocaleString('en')}\n"
	"function percent(share){const p=100*share;return p.toFixed(p===0||p>=99.95?0:p>=.995?1:p>=.0995?2:3)+' %'}\n"
	"function bar(share,title){const e=el('i',{className:'bar',title:title||''});e.style.width=100*share+'%';return e}\n"
	"function row(...cells){return el('tr',{},...cells)}\n"
	"function cell(inside,className=''){return el('td',{className},inside)}\n"
	"function heads(...names){return el('thead',{},row(...names.map(([name,className,title])=>el('th',{className:className||'',title:title||''},name))))}\n",

	/* rows of the stream */
	"function who([,row,id]){return id||'#'+count(row)}\n"
	"function picture(x,instead=()=>el('span',{className:'mute'},who(x)+' ')){\n"
	"if(!x[4])return instead();\n"
	"const e=el('img',{className:'thumb',loading:'lazy',decoding:'async',referrerPolicy:'no-referrer',alt:who(x),title:[who(x),x[3]].filter(Boolean).join(', ')});\n"
	"e.onerror=()=>e.replaceWith(instead());e.src=x[4]===1?x[2]:x[4];return e}\n"
	/* as report_examples in report.c does it */
	"function where(c){\n"
	"const few=(c[EXAMPLES]||[]).slice(0,4);\n"
	"if(few.some(x=>x[4]))return few.map(x=>picture(x));\n"
	"const times=new Map();\n"
	"for(const x of few){const text=x[3]&&!x[2]?x[3]:who(x);times.set(text,(times.get(text)||0)+1)}\n"
	"return [[...times].map(([text,n])=>n>1?text+' ×'+n:text).join(', ')]}\n",

	/* the table: its columns */
	"function columns(D,link){\n"
	"const most=D.concepts.reduce((most,c)=>Math.max(most,c[ROWS]),1);\n"
	"const some=(at,col)=>D.concepts.some(c=>c[at]!==null)?[col]:[];\n"
	"const number=(name,at,title,className='r',digits=2)=>({name,title,className,key:c=>c[at],cell:c=>[fixed(c[at],digits)]});\n"
	"const all=[{name:'latent',title:'its number in the model',className:'r',key:c=>c[LATENT],up:true,cell:c=>[link(c,c[LATENT])]}];\n"
	"if(D.named)all.push(\n"
	"{name:'concept',title:'the name of its concepts file',className:'id',key:c=>c[NAME]&&c[NAME].toLowerCase()||null,up:true,cell:c=>[c[NAME]?link(c,c[NAME]):'']},\n"
	"...some(COSINE,number('cosine',COSINE,'of the name and the latent')),...some(RATIO,number('ratio',RATIO,'of that cosine to the second best name’s','r lo')));\n"
	"all.push({name:'rows',title:'share of rows where it is active',className:'r',key:c=>c[ROWS],cell:c=>[percent(c[ROWS]/D.rows)]},\n"
	"{name:'',className:'bars lo',cell:c=>[bar(c[ROWS]/most,count(c[ROWS])+' rows')]},\n"
	"number('mean',MEAN,'strength, mean where it is active'),number('max',MAX,'strength, at most','r lo'));\n"
	"if(D.levels.length)all.push({name:'level',title:'smallest nesting level where half of its rows have it',className:'r',up:true,key:c=>c[LEVEL]||null,cell:c=>[c[LEVEL]||'–']});\n"
	"all.push({name:'strongest in',className:'id',cell:where});\n"
	"return all}\n",

	/* the table */
	"function concepts(D,root){\n"
	"D.concepts.shift();\n"
	"const by=new Map(D.concepts.map(c=>[c[LATENT],c])),name=c=>c[NAME]||'latent '+c[LATENT];\n"
	"const link=(c,text)=>el('a',{href:'#latent-'+c[LATENT]},text===undefined?name(c):String(text));\n"
	"const body=el('tbody'),one=el('section',{id:'one',className:'card',hidden:true}),cols=columns(D,link);\n"
	"const search=el('input',{type:'search',id:'filter',placeholder:'filter by name, number, row, label',ariaLabel:'filter'});\n"
	"const named=el('input',{type:'checkbox',id:'named'}),level=el('select',{id:'level',ariaLabel:'nesting level'},el('option',{value:''},'every level'),...D.levels.map(k=>el('option',{value:k},'level '+k)));\n"
	"const back=el('button',{type:'button',ariaLabel:'page before',onclick:()=>turn(-1)},'‹'),on=el('button',{type:'button',ariaLabel:'next page',onclick:()=>turn(1)},'›'),shown=el('span',{id:'shown'});\n"
	"let list=D.concepts,first=0,by_col=null,way=1,texts=null;\n"
	"function text(c){return [c[LATENT],c[NAME]||'',...(c[EXAMPLES]||[]).flatMap(x=>[x[2],x[3]])].join(' ').toLowerCase()}\n"
	"function draw(){\n"
	"body.replaceChildren(...list.slice(first,first+PAGE).map(c=>{const e=row(...cols.map(k=>el('td',{className:k.className},...k.cell(c))));e.dataset.latent=c[LATENT];return e}));\n"
	"if(!list.length)body.append(row(el('td',{colSpan:cols.length,className:'empty mute'},'Nothing matches.')));\n"
	"shown.textContent=list.length?count(first+1)+'–'+count(Math.min(first+PAGE,list.length))+' of '+count(list.length):'0 of '+count(D.concepts.length);\n"
	"back.disabled=!first;on.disabled=first+PAGE>=list.length;mark()}\n"
	"function turn(by){first+=by*PAGE;draw()}\n"
	"function choose(){\n"
	"texts=texts||new Map(D.concepts.map(c=>[c,text(c)]));\n"
	"const words=search.value.toLowerCase().split(' ').filter(Boolean);\n"
	"list=D.concepts.filter(c=>(!named.checked||c[NAME])&&(!level.value||c[LEVEL]===+level.value)&&words.every(w=>texts.get(c).includes(w)));\n"
	/* what is not known comes last, whichever the way */
	"if(by_col)list.sort((a,b)=>{const x=by_col.key(a),y=by_col.key(b);return x===y?0:x===null?1:y===null?-1:(x<y?-1:1)*way});\n"
	"first=0;draw()}\n"
	"function sort(col,th){\n"
	"way=by_col===col?-way:col.up?1:-1;by_col=col;\n"
	"for(const h of th.parentNode.children)h.removeAttribute('aria-sort');\n"
	"th.setAttribute('aria-sort',way>0?'ascending':'descending');choose()}\n"
	"const head=row(...cols.map(k=>{const th=el('th',{className:k.className,title:k.title||''});\n"
	"th.append(k.key?el('button',{type:'button',onclick:()=>sort(k,th)},k.name):k.name);return th}));\n",

	/* the section of a concept */
	"function histogram([width,negative,bins]){\n"
	"const most=Math.max(1,...bins),all=el('div',{className:'hist'},...bins.map((n,i)=>{\n"
	"const e=el('i',{title:(i*width).toPrecision(3)+' to '+((i+1)*width).toPrecision(3)+': '+count(n)+' rows'});e.style.height=100*n/most+'%';if(n)e.dataset.n=n;return e}));\n"
	"const title=el('h4',{},'Its values where it is active');\n"
	"if(!bins.length)return el('div',{},title,el('p',{className:'empty'},'None is above 0.'));\n"
	"return el('div',{},title,el('div',{className:'scale'},count(most)+' rows'),all,\n"
	"el('div',{className:'scale'},el('span',{},'0'),el('span',{},'strength'),el('span',{},String(+(bins.length*width).toPrecision(3)))),\n"
	"negative?el('p',{className:'note'},count(negative)+' values below 0 are not drawn'):'')}\n"
	"function hierarchy(c){\n"
	"let sum=0;\n"
	"return el('div',{},el('h4',{},'Its place in the hierarchy'),el('table',{},heads(['k','r'],['',''],['of its rows','r']),el('tbody',{},...D.levels.map((k,i)=>{\n"
	"sum+=c[LEVELS][i];const e=row(cell(k===c[LEVEL]?el('b',{},String(k)):String(k),'r'),cell(bar(sum/c[ROWS]),'bars'),cell(percent(sum/c[ROWS]),'r'));return e}))),\n"
	"el('p',{className:'note'},'Share of the rows where it is active that have it among their k largest codes. It enters at the first level that half of them reach: '+(c[LEVEL]||'none')+'.'))}\n"
	"function strongest(c){\n"
	"const title=el('h4',{},'Strongest rows'),most=Math.max(...c[EXAMPLES].map(x=>x[0])),labels=c[EXAMPLES].some(x=>x[3]);\n"
	"if(c[EXAMPLES].some(x=>x[4]))return el('div',{},title,el('div',{className:'tiles'},...c[EXAMPLES].map(x=>el('figure',{},picture(x,()=>el('div',{className:'thumb'})),el('figcaption',{className:'mute'},fixed(x[0])+' '+(x[3]||who(x)))))));\n"
	"return el('div',{},title,el('table',{},heads(['row'],...(labels?[['label']]:[]),['strength','r']),el('tbody',{},...c[EXAMPLES].map(x=>row(cell(who(x),'id'),...(labels?[cell(x[3],'id')]:[]),cell(fixed(x[0]),'r'))))))}\n"
	"function together(c){\n"
	"const title=el('h4',{},'Fires with'),known=c[TOGETHER].filter(t=>by.has(t[0]));\n"
	"const how='Counted in '+count(D.drawn)+(D.drawn<D.rows?' rows drawn evenly from '+count(D.rows):' rows')+', among the 64 strongest codes of each; it fires in '+count(c[FIRED])+' of them. '\n"
	"+'Overlap: rows together / √(rows of one × rows of the other). Lift: how many times as often as chance would have it.';\n"
	"return el('div',{},title,known.length?el('table',{},heads(['concept'],['overlap','r'],['rows','r'],['lift','r']),el('tbody',{},...known.map(([j,rows,overlap,lift])=>\n"
	"row(cell(link(by.get(j)),'id'),cell(fixed(overlap),'r'),cell(count(rows),'r'),cell('×'+fixed(lift,lift<10?1:0),'r'))))):el('p',{className:'empty'},'Nothing oftener than by chance.'),el('p',{className:'note'},how))}\n"
	"function facts(c){\n"
	"const list=[['rows',count(c[ROWS])+' ('+percent(c[ROWS]/D.rows)+')'],['mean',fixed(c[MEAN])],['max',fixed(c[MAX])]];\n"
	"if(c[COSINE]!==null)list.unshift(['cosine',fixed(c[COSINE])]);\n"
	"if(c[RATIO]!==null)list.splice(1,0,['ratio',fixed(c[RATIO])]);\n"
	"if(D.levels.length)list.push(['level',c[LEVEL]||'none']);\n"
	"if(c[NAME])list.unshift(['latent',c[LATENT]]);\n"
	"return el('div',{className:'facts'},...list.map(([what,v])=>el('span',{},what+' ',el('b',{},String(v)))))}\n"
	"function section(c){\n"
	"const at=list.indexOf(c),beside=(d,text)=>list[at+d]&&at>=0?[el('a',{href:'#latent-'+list[at+d][LATENT]},text)]:[];\n"
	"const parts=c[VALUES]?[el('div',{},histogram(c[VALUES]),...(D.levels.length?[hierarchy(c)]:[])),strongest(c),...(D.drawn?[together(c)]:[])]:[el('p',{className:'empty'},'Left out to keep the page small; report --json has it.')];\n"
	"one.replaceChildren(el('header',{},el('h3',{},name(c)),el('nav',{},...beside(-1,'‹ before'),...beside(1,'next ›'),el('a',{href:'#concepts'},'close'))),facts(c),el('div',{className:'parts'},...parts))}\n"
	"function here(){const m=location.hash.match(/^#latent-([0-9]+)$/);return m?by.get(+m[1]):undefined}\n"
	"function mark(){const c=here();for(const e of body.children)e.classList.toggle('on',!!c&&e.dataset.latent===String(c[LATENT]))}\n"
	"function visit(){const c=here();one.hidden=!c;if(c){section(c);one.scrollIntoView()}mark()}\n",

	/* and go */
	"search.oninput=named.onchange=level.onchange=choose;\n"
	"const several=D.named&&D.named<D.active;\n"
	"root.append(one,el('div',{className:'tools'},search,...(several?[el('label',{},named,'named only')]:[]),...(D.levels.length?[level]:[]),el('span',{className:'pages'},shown,back,on)),\n"
	"el('div',{className:'wide'},el('table',{id:'list'},el('thead',{},head),body)),\n"
	"...(D.concepts.length<D.active?[el('p',{className:'note'},'The first '+count(D.concepts.length)+' of '+count(D.active)+'; report --json has all.')]:[]));\n"
	"addEventListener('hashchange',visit);draw();visit()}\n",
	NULL
};
