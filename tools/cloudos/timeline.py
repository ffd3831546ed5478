# SPDX-License-Identifier: MIT
"""Draws the timeline of a deterministic run as one self-contained HTML page: a lane a CPU, coloured by thread, with marks for
interrupts, faults, operations and notes; time runs to the right, the wheel zooms, a click tells all about an event."""

from __future__ import annotations

import json
import re
from pathlib import Path

LINE = re.compile(r"^\s*(\d+)\s+(\d+\.\d+) CPU(\d+)\s+(\S*(?: \S+)*?)\s+"
                  r"(point|switch|thread|idle|irq|kick|timer|draw|fault|user|console|device|op|note)\b\s*(.*)$")
EVENTS_MAX = 200_000         # of a page; the last ones are kept, since failures stand at the end

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>CloudOS timeline</title>
<style>
body{font:14px/1.4 system-ui,sans-serif;margin:0;color:#1c2430;background:#fff}
header{padding:10px 16px;border-bottom:1px solid #d5dbe3}
h1{font-size:16px;margin:0 0 4px}
#about{color:#55606e}
canvas{display:block;width:100%%;cursor:crosshair}
#legend{padding:8px 16px;display:flex;flex-wrap:wrap;gap:4px 14px;font-size:12px}
#legend i{display:inline-block;width:10px;height:10px;margin-right:4px;border-radius:2px}
pre{margin:0;padding:8px 16px;font:12px/1.5 ui-monospace,monospace;white-space:pre-wrap;border-top:1px solid #d5dbe3}
.here{background:#fff1b8}
</style>
<header><h1>CloudOS timeline</h1><div id="about"></div></header>
<canvas id="c"></canvas><div id="legend"></div><pre id="text">Click on the picture: the events around that moment appear here.</pre>
<script>
const E=%(events)s,T=%(threads)s,CPUS=%(cpus)d,CUT=%(cut)d;
// an event: [number, ns, cpu, thread, kind, text]
const KIND={fault:'#c2185b',op:'#1565c0',note:'#6a1b9a',irq:'#ef6c00',console:'#2e7d32',device:'#00838f'};
const c=document.getElementById('c'),x=c.getContext('2d'),LANE=46,TOP=26;
let t0=E.length?E[0][1]:0,t1=E.length?E[E.length-1][1]+1:1,first=t0,last=t1,mark=null;
const colour=i=>`hsl(${(i*67)%%360} 55%% ${i%%2?62:72}%%)`;
document.getElementById('about').textContent=`${E.length} events${CUT?` (the first ${CUT} are left out)`:''}, `+
  `${((last-first)/1e6).toFixed(3)} ms of virtual time, ${CPUS} CPUs. Wheel: zoom. Drag: move. Click: events.`;
document.getElementById('legend').innerHTML=T.map((n,i)=>n.startsWith('idle/')?'':`<span><i style="background:${colour(i)}"></i>${n.replace(/</g,'&lt;')}</span>`).join('')+
  Object.entries(KIND).map(([k,v])=>`<span><i style="background:${v};border-radius:5px"></i>${k}</span>`).join('');
function px(t){return (t-t0)/(t1-t0)*c.width}
function draw(){
  const r=devicePixelRatio||1;c.width=innerWidth*r;c.height=(TOP+CPUS*LANE+14)*r;c.style.height=(TOP+CPUS*LANE+14)+'px';
  x.fillStyle='#fff';x.fillRect(0,0,c.width,c.height);x.font=12*r+'px sans-serif';
  const from=[],who=[];let running=0;
  function bar(cpu,a,b,th){if(th<0||b<t0||a>t1||T[th].startsWith('idle/'))return;x.fillStyle=colour(th);
    x.fillRect(px(a),(TOP+cpu*LANE+6)*r,Math.max(1,px(b)-px(a)),(LANE-18)*r)}
  for(const e of E){const[n,t,cpu,th,k]=e;
    if(from[cpu]===undefined||who[cpu]!==th||k==='idle'){if(from[cpu]!==undefined)bar(cpu,from[cpu],t,who[cpu]);from[cpu]=t;who[cpu]=k==='idle'?-1:th}}
  for(let i=0;i<CPUS;i++){if(from[i]!==undefined)bar(i,from[i],last,who[i]);
    x.fillStyle='#55606e';x.fillText('CPU '+i,6*r,(TOP+i*LANE+2)*r)}
  for(const e of E){const col=KIND[e[4]];if(!col||e[1]<t0||e[1]>t1)continue;x.fillStyle=col;
    const y=TOP+e[2]*LANE+(e[4]==='op'||e[4]==='note'?LANE-8:4);x.beginPath();x.arc(px(e[1]),y*r,3*r,0,7);x.fill()}
  if(mark!==null){x.strokeStyle='#000';x.beginPath();x.moveTo(px(mark),0);x.lineTo(px(mark),c.height);x.stroke()}
  const step=Math.pow(10,Math.floor(Math.log10((t1-t0)/4)));
  x.fillStyle='#55606e';for(let t=Math.ceil(t0/step)*step;t<t1;t+=step){x.fillRect(px(t),0,1,8*r);x.fillText((t/1e6).toFixed(4)+' ms',px(t)+3*r,12*r)}
}
function at(ev){return t0+(ev.clientX/innerWidth)*(t1-t0)}
c.onwheel=ev=>{ev.preventDefault();const t=at(ev),f=ev.deltaY<0?.7:1.4;t0=Math.max(first,t-(t-t0)*f);t1=Math.min(last,t+(t1-t)*f);draw()};
let drag=null,moved=false;c.onmousedown=ev=>{drag=[ev.clientX,t0,t1];moved=false};
onmousemove=ev=>{if(!drag)return;const d=(ev.clientX-drag[0])/innerWidth*(drag[2]-drag[1]);if(Math.abs(ev.clientX-drag[0])>3)moved=true;
  t0=drag[1]-d;t1=drag[2]-d;draw()};
onmouseup=ev=>{const was=drag;drag=null;if(!was||moved||ev.target!==c)return;mark=at(ev);draw();
  let i=E.findIndex(e=>e[1]>=mark);if(i<0)i=E.length-1;const esc=s=>s.replace(/&/g,'&amp;').replace(/</g,'&lt;');
  document.getElementById('text').innerHTML=E.slice(Math.max(0,i-30),i+30).map((e,j)=>
    `<span class="${j===Math.min(30,i)?'here':''}">${String(e[0]).padStart(8)} ${(e[1]/1e6).toFixed(6).padStart(14)} ms CPU${e[2]} ${esc((T[e[3]]||'').padEnd(18))} ${e[4].padEnd(7)} ${esc(e[5])}</span>`).join('\\n')};
onresize=draw;draw();
</script></html>
"""


def parse(text: str) -> list[tuple[int, int, int, str, str, str]]:
    """(number, virtual ns, CPU, thread, kind, words) of each line of a timeline."""
    events = []
    for line in text.splitlines():
        if found := LINE.match(line):
            number, seconds, cpu, thread, kind, words = found.groups()
            whole, _, fraction = seconds.partition(".")
            events.append((int(number), int(whole) * 10**9 + int(fraction), int(cpu), thread, kind, words))
    return events


def page(text: str) -> str:
    events = [event for event in parse(text) if event[4] != "draw"]
    cut = max(0, len(events) - EVENTS_MAX)
    threads: dict[str, int] = {}
    rows = [[number, ns, cpu, threads.setdefault(thread, len(threads)), kind, words]
            for number, ns, cpu, thread, kind, words in events[cut:]]
    return PAGE % {"events": json.dumps(rows, separators=(",", ":")), "threads": json.dumps(list(threads)),
                   "cpus": max((row[2] for row in rows), default=0) + 1, "cut": cut}


def draw(timeline: Path, target: Path) -> None:
    target.write_text(page(timeline.read_text(errors="replace")))
