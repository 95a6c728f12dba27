// One trace: its findings, its spans in time, and what one of them says.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Refusal, type Trace } from './api';
import { colour, count, duration, findingTitle, fullTime, line, plural, time, weight } from './format';
import { useKeydown } from './keys';
import { useData, useMedia } from './live';
import { Details } from './details';
import { Failed, Message, Problem, Service } from './parts';
import { backToList, go, traceHref, type Route } from './route';
import { allCollapsed, expanded, indexOf, rowsOf, type Index, type Zoom } from './tree';
import { Waterfall } from './waterfall';

// A trace with more spans is not asked for again while it is shown.
const liveSpans = 5000;

export function TraceView({ route, version }: { route: Route; version: number }) {
  const [frozen, setFrozen] = useState<number | null>(null);
  const { data, error, loading } = useData<Trace>(`api/traces/${encodeURIComponent(route.trace)}`, frozen ?? version);
  const large = (data?.spans.id.length ?? 0) > liveSpans;
  useEffect(() => setFrozen(large ? version : null), [large, route.trace]);
  if (!data || data.spans.id.length === 0) {
    return (
      <>
        <h1 class="hidden" tabIndex={-1}>
          Trace
        </h1>
        <Absent error={error} loading={loading} />
      </>
    );
  }
  return <Shown key={data.id} trace={data} route={route} version={version} />;
}

function Absent({ error, loading }: { error: Error | null; loading: boolean }) {
  useEscape(backToList);
  if (error instanceof Refusal) {
    return (
      <Message title="This trace is not here" alert>
        <p>
          <bdi>{line(error.message, 300)}</bdi>
        </p>
        <p>
          Old traces make room for new ones. <a href="#/search">Search those that are here</a>.
        </p>
      </Message>
    );
  }
  if (error) return <Problem error={error} />;
  return <Message title={loading ? 'Loading the trace…' : 'This trace has no spans'} />;
}

function Shown({ trace, route, version }: { trace: Trace; route: Route; version: number }) {
  const narrow = useMedia('(max-width: 720px)');
  const index = useMemo(() => indexOf(trace), [trace]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => rowsOf(trace, collapsed), [trace, collapsed]);
  const linked = route.span ? (index.byID.get(route.span) ?? -1) : -1;
  const [activeID, setActiveID] = useState(route.span || trace.spans.id[0]);
  const active = index.byID.get(activeID) ?? 0;

  // A URL that names a span shows it.
  useEffect(() => {
    if (linked < 0) return;
    setActiveID(route.span);
    setCollapsed((was) => expanded(trace, was, linked));
  }, [route.span, trace]);

  const zoom = zoomOf(route.query, trace);
  const url = (span: string, zoomed: URLSearchParams = route.query) => traceHref(trace.id, span, zoomed);
  const close = () => go(url(''), true);
  const activate = (span: number) => {
    setActiveID(trace.spans.id[span]);
    if (route.span) go(url(trace.spans.id[span]), true);
  };
  const open = (span: number) => {
    setActiveID(trace.spans.id[span]);
    go(url(trace.spans.id[span]), route.span !== '');
  };
  const zoomTo = (z: Zoom | null) =>
    go(url(route.span, new URLSearchParams(z ? { from: z.from.toFixed(0), to: z.to.toFixed(0) } : {})), true);

  useEscape(() => {
    if (route.span) close();
    else if (route.query.has('from')) zoomTo(null);
    else backToList();
  });

  return (
    <div class={`trace ${route.span ? 'split' : ''}`}>
      <Head trace={trace} index={index} open={open} narrow={narrow} />
      <div class="tools">
        <Overview trace={trace} zoom={zoom} zoomTo={zoomTo} />
        <div class="buttons">
          <button type="button" onClick={() => setCollapsed(collapsed.size > 0 ? new Set() : allCollapsed(trace))}>
            {collapsed.size > 0 ? 'Expand all' : 'Collapse all'}
          </button>
          {route.query.has('from') && (
            <button type="button" onClick={() => zoomTo(null)}>
              All of the time
            </button>
          )}
        </div>
      </div>
      <div class="body">
        <Waterfall
          trace={trace}
          index={index}
          rows={rows}
          collapsed={collapsed}
          collapse={setCollapsed}
          active={active}
          activate={activate}
          open={open}
          zoom={zoom}
          zoomTo={zoomTo}
          narrow={narrow}
        />
        {route.span && (
          <Details
            trace={trace.id}
            span={route.span}
            version={trace.spans.id.length > liveSpans ? 0 : version}
            findings={(trace.findings ?? []).filter((f) => f.spans?.includes(route.span))}
            close={close}
          />
        )}
      </div>
    </div>
  );
}

function zoomOf(query: URLSearchParams, trace: Trace): Zoom {
  const from = Number(query.get('from') ?? NaN);
  const to = Number(query.get('to') ?? NaN);
  return to > from ? { from, to } : { from: 0, to: Math.max(trace.duration, 1) };
}

function useEscape(escape: () => void) {
  useKeydown((e) => {
    if (e.key !== 'Escape') return false;
    escape();
    return true;
  });
}

function Head({ trace, index, open, narrow }: { trace: Trace; index: Index; open: (span: number) => void; narrow: boolean }) {
  const { spans } = trace;
  const findings = trace.findings ?? [];
  return (
    <div class="trace-head">
      <h1 tabIndex={-1}>
        <bdi>{line(trace.names[spans.name[0]] ?? '', 120)}</bdi>
      </h1>
      <p class="meta">
        <strong>{duration(trace.duration)}</strong>
        <span>{plural(spans.id.length, 'span')}</span>
        {index.failed.length > 0 && <Failed n={index.failed.length} />}
        <time dateTime={fullTime(trace.start)}>{time(trace.start)}</time>
        <span>{weight(trace.weight)}</span>
        <span>
          <code class="id">{trace.id}</code> <Copy text={trace.id} what="trace ID" id="copy-id" />
        </span>
      </p>
      <p class="meta legend">
        {trace.services.slice(0, narrow ? 4 : 12).map((s) => (
          <Service key={s} name={s} />
        ))}
        {trace.services.length > (narrow ? 4 : 12) && <span>and {trace.services.length - (narrow ? 4 : 12)} more</span>}
        <span class="service">
          <span class="critical-key" /> critical path
        </span>
      </p>
      {findings.length > 0 && (
        <details class="trace-findings" open={!narrow && findings.length <= 4}>
          <summary>{plural(findings.length, 'finding')}</summary>
          <ul>
            {findings.slice(0, 100).map((f, i) => {
              const at = index.byID.get(f.spans?.[0] ?? '');
              return (
                <li key={i}>
                  <button type="button" disabled={at === undefined} onClick={() => at !== undefined && open(at)}>
                    <span class="kind">{findingTitle(f.kind)}</span> <bdi>{line(f.operation, 100)}</bdi>
                  </button>{' '}
                  <bdi class="dim">{line(f.advice, 400)}</bdi>
                </li>
              );
            })}
          </ul>
        </details>
      )}
    </div>
  );
}

// Copy puts a text into the clipboard, or says that the browser lets nobody.
export function Copy({ text, what, id }: { text: string; what: string; id?: string }) {
  const [said, say] = useState('');
  const copy = () => {
    const tell = (word: string) => {
      say(word);
      setTimeout(() => say(''), 1500);
    };
    if (!navigator.clipboard) return tell('not allowed');
    return navigator.clipboard.writeText(text).then(
      () => tell('copied'),
      () => tell('not allowed'),
    );
  };
  return (
    <button type="button" class="small" id={id} aria-label={`Copy the ${what}`} onClick={copy}>
      <span aria-live="polite">{said || 'copy'}</span>
    </button>
  );
}

const drawn = 4000;

// Overview is all of the trace. A stretch of it that is drawn with the pointer is zoomed to.
function Overview({ trace, zoom, zoomTo }: { trace: Trace; zoom: Zoom; zoomTo: (z: Zoom | null) => void }) {
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const paths = useMemo(() => {
    const { start, duration, service } = trace.spans;
    const total = trace.duration || 1;
    const step = Math.max(1, Math.ceil(start.length / drawn));
    const byColour = new Map<string, string>();
    for (let i = 0; i < start.length; i += step) {
      const key = colour(trace.services[service[i]] ?? '');
      const y = (100 * (i + 0.5)) / start.length;
      const x = (1000 * start[i]) / total;
      byColour.set(key, (byColour.get(key) ?? '') + `M${x.toFixed(1)} ${y.toFixed(1)}h${Math.max((1000 * duration[i]) / total, 1).toFixed(1)}`);
    }
    return [...byColour];
  }, [trace]);
  const at = (e: PointerEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect();
    return Math.min(Math.max((e.clientX - box.left) / box.width, 0), 1);
  };
  const [from, to] = drag ? [Math.min(...drag), Math.max(...drag)] : [zoom.from / (trace.duration || 1), zoom.to / (trace.duration || 1)];
  const x = 1000 * Math.min(Math.max(from, 0), 1);
  const end = 1000 * Math.min(Math.max(to, 0), 1);
  return (
    <svg
      class="overview"
      viewBox="0 0 1000 100"
      preserveAspectRatio="none"
      role="img"
      aria-label={`All ${count(trace.spans.id.length)} spans in ${duration(trace.duration)}`}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        setDrag([at(e), at(e)]);
      }}
      onPointerMove={(e) => drag && setDrag([drag[0], at(e)])}
      onPointerCancel={() => setDrag(null)}
      onPointerUp={() => {
        if (drag && to - from > 0.002) zoomTo({ from: from * trace.duration, to: to * trace.duration });
        setDrag(null);
      }}
    >
      {paths.map(([key, d]) => (
        <path key={key} class={key} d={d} />
      ))}
      {x > 0 && <rect class="out" x={0} y={0} width={x} height={100} />}
      {end < 1000 && <rect class="out" x={end} y={0} width={1000 - end} height={100} />}
    </svg>
  );
}
