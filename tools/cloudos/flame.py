# SPDX-License-Identifier: MIT
"""Draws folded stacks as a flame graph: one self-contained HTML page. A box is a function, as wide as it has samples, above its caller; a
click zooms, the search counts what it finds, light or dark as the reader's system is or the button says."""

from __future__ import annotations

import html
import json
import re
from collections import Counter

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Profile: @TITLE@</title>
<style>
:root{color-scheme:light;--back:#fff;--text:#1c2430;--dim:#55606e;--line:#d5dbe3;--user:28 80% 66%;--kernel:205 58% 66%;--hit:#a6e22e}
:root.dark{color-scheme:dark;--back:#14181f;--text:#e4e9f0;--dim:#98a4b3;--line:#323a46;--user:24 48% 42%;--kernel:208 42% 42%;--hit:#5f8f10}
body{font:14px/1.4 system-ui,sans-serif;margin:0;color:var(--text);background:var(--back)}
header{display:flex;flex-wrap:wrap;gap:6px 14px;align-items:center;padding:10px 16px;border-bottom:1px solid var(--line)}
h1{font-size:16px;margin:0;flex:1 1 16em;overflow-wrap:anywhere}
#about,#status{color:var(--dim)}#status{padding:6px 16px;min-height:1.4em;overflow-wrap:anywhere}
i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:4px}
svg{display:block;width:100%}rect{stroke:var(--back);stroke-width:.6}g{cursor:pointer}g:hover rect{stroke:var(--text)}
text{font:12px ui-monospace,monospace;fill:var(--text);pointer-events:none}.over{opacity:.55}
</style>
<header><h1>@TITLE@</h1><span id="about"></span>
<span><i style="background:hsl(var(--user))"></i>program</span><span><i style="background:hsl(var(--kernel))"></i>kernel</span>
<input id="search" type="search" placeholder="search (regular expression)" aria-label="search">
<button id="reset">whole picture</button><button id="mode">dark / light</button></header>
<div id="status"></div><svg id="picture" role="img" aria-label="flame graph"></svg>
<script>
const STACKS=@STACKS@,NAMES=@NAMES@;            // a stack: [count, numbers of names, outermost first]
const ROW=18,CHAR=7.3,LEAST=.4,$=id=>document.getElementById(id);
const root={name:'all',count:0,kids:new Map(),up:null,depth:0};
let deepest=0,zoom=root,wanted=null;
for(const[count,frames]of STACKS){
  let at=root;at.count+=count;
  for(const f of frames){
    if(!at.kids.has(f))at.kids.set(f,{name:NAMES[f],count:0,kids:new Map(),up:at,depth:at.depth+1});
    at=at.kids.get(f);at.count+=count;deepest=Math.max(deepest,at.depth)}
}
const share=n=>`${n.count} samples, ${(100*n.count/root.count).toFixed(2)}%`;
const colour=n=>{
  if(wanted&&wanted.test(n.name))return'var(--hit)';
  let h=0;for(const c of n.name)h=(h*31+c.charCodeAt(0))%997;
  return`hsl(var(--${n.name.endsWith('_[k]')?'kernel':'user'}) / ${75+h%26}%)`};
function found(n){                              // samples below boxes that match, each once
  if(wanted.test(n.name))return n.count;
  let sum=0;for(const k of n.kids.values())sum+=found(k);return sum}
function element(tag,attributes,parent){
  const e=document.createElementNS($('picture').namespaceURI,tag);
  for(const[k,v]of Object.entries(attributes))e.setAttribute(k,v);
  parent.appendChild(e);return e}
function box(n,x,width){
  if(width<LEAST)return;
  const y=(deepest-n.depth)*ROW,g=element('g',{},$('picture'));
  if(n.depth<zoom.depth)g.setAttribute('class','over');
  element('rect',{x,y,width,height:ROW-1,rx:2,style:`fill:${colour(n)}`},g);
  element('title',{},g).textContent=`${n.name}\\n${share(n)}`;
  const room=Math.floor((width-6)/CHAR);
  if(room>2)element('text',{x:x+3,y:y+13},g).textContent=n.name.length>room?n.name.slice(0,room-1)+'\\u2026':n.name;
  g.onclick=()=>{zoom=n;draw()};
  g.onmouseenter=()=>{$('status').textContent=`${n.name}: ${share(n)}`}}
function below(n,x,width){
  box(n,x,width);
  if(width<LEAST)return;
  const kids=[...n.kids.values()].sort((a,b)=>a.name<b.name?-1:1);
  for(const k of kids){const w=width*k.count/n.count;below(k,x,w);x+=w}}
function draw(){
  const svg=$('picture'),width=svg.clientWidth||innerWidth;
  svg.replaceChildren();svg.setAttribute('height',(deepest+1)*ROW);
  for(let n=zoom.up;n;n=n.up)box(n,0,width);
  if(root.count)below(zoom,0,width);
  $('about').textContent=`${root.count} samples`;
  if(wanted){const n=found(root);$('status').textContent=`found in ${n} samples, ${(100*n/(root.count||1)).toFixed(2)}%`}
  else $('status').textContent=zoom===root?'Click on a box to see it alone.':`${zoom.name}: ${share(zoom)}`}
$('search').oninput=e=>{
  try{wanted=e.target.value?new RegExp(e.target.value,'i'):null;draw()}
  catch(error){$('status').textContent=error.message}};
$('reset').onclick=()=>{zoom=root;draw()};
$('mode').onclick=()=>document.documentElement.classList.toggle('dark');
document.documentElement.classList.toggle('dark',matchMedia('(prefers-color-scheme: dark)').matches);
onkeydown=e=>{if(e.key==='Escape'){zoom=root;draw()}};
onresize=draw;draw();
</script></html>
"""


def _script(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def page(stacks: Counter[tuple[str, ...]], title: str) -> str:
    names: dict[str, int] = {}
    rows = [[count, [names.setdefault(frame, len(names)) for frame in stack]] for stack, count in sorted(stacks.items())]
    parts = {"STACKS": _script(rows), "NAMES": _script(list(names)), "TITLE": html.escape(title)}
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], PAGE)
