// The spans of a trace in time. Of 100,000 rows those that can be seen are in the page.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Trace } from './api';
import { colour, duration, findingTitle, line, plural } from './format';
import { useKeydown } from './keys';
import { ErrorMark } from './parts';
import { expanded, next, parts, rowAt, type Index, type Zoom } from './tree';

const beyond = 8; // rows above and below what is seen
const levels = 16; // that are indented; deeper ones tell their number

export interface WaterfallProps {
  trace: Trace;
  index: Index;
  rows: Int32Array;
  collapsed: ReadonlySet<string>;
  collapse: (collapsed: ReadonlySet<string>) => void;
  active: number;
  activate: (span: number) => void;
  open: (span: number) => void;
  zoom: Zoom;
  zoomTo: (zoom: Zoom | null) => void;
  narrow: boolean;
}

type RowProps = WaterfallProps & { span: number; row: number; top: number; selected: boolean };

export function Waterfall(props: WaterfallProps) {
  const { trace, rows, active, narrow, zoom } = props;
  const ref = useRef<HTMLDivElement>(null);
  const rowHeight = narrow ? 44 : 26;
  const headHeight = 26;
  const [first, setFirst] = useState(0);
  const [seen, setSeen] = useState(40);
  const at = rowAt(rows, active);

  useEffect(() => {
    const grid = ref.current;
    if (!grid) return undefined;
    const measure = () => {
      setFirst(Math.floor(grid.scrollTop / rowHeight));
      setSeen(Math.ceil(grid.clientHeight / rowHeight));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(grid);
    grid.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      grid.removeEventListener('scroll', measure);
    };
  }, [rowHeight]);

  // The active row is in sight whenever it becomes another one.
  useLayoutEffect(() => {
    const grid = ref.current;
    if (!grid) return;
    const top = at * rowHeight;
    const room = grid.clientHeight - headHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + rowHeight > grid.scrollTop + room) grid.scrollTop = Math.max(top + rowHeight - room + (active === rows[at] ? 2 * rowHeight : 0), 0);
  }, [active, rowHeight]);

  useKeys(props, at, seen, ref);

  const from = Math.max(first - beyond, 0);
  const to = Math.min(first + seen + beyond, rows.length);
  const shown: number[] = [];
  if (at < from) shown.push(at);
  for (let r = from; r < to; r++) shown.push(r);
  if (at >= to) shown.push(at);
  const ticks = narrow ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];

  return (
    <div
      ref={ref}
      class="waterfall"
      role="treegrid"
      aria-label="Spans"
      aria-rowcount={rows.length + 1}
      aria-activedescendant={rows.length > 0 ? `row-${rows[at]}` : undefined}
      tabIndex={0}
      onClick={(e) => {
        const target = e.target as Element;
        const row = target.closest<HTMLElement>('[data-span]');
        if (!row) return;
        const span = Number(row.dataset.span);
        if (target.closest('.twisty') && trace.spans.children[span] > 0) {
          props.activate(span);
          toggle(props, span);
        } else props.open(span);
      }}
    >
      <div class="head" role="row" aria-rowindex={1}>
        <span role="columnheader">Span</span>
        <span role="columnheader" class="ticks" aria-label="Time">
          {ticks.map((t) => (
            <span key={t} style={{ left: `${100 * t}%` }} class={t === 0 ? 'start' : t === 1 ? 'end' : ''}>
              {duration(zoom.from + t * (zoom.to - zoom.from))}
            </span>
          ))}
        </span>
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${rows.length * rowHeight}px` }}>
        {shown.map((r) => (
          <Row key={rows[r]} {...props} span={rows[r]} row={r} top={r * rowHeight} selected={r === at} />
        ))}
      </div>
    </div>
  );
}

function toggle({ trace, collapsed, collapse }: WaterfallProps, span: number) {
  const id = trace.spans.id[span];
  const next = new Set(collapsed);
  if (!next.delete(id)) next.add(id);
  collapse(next);
}

// useKeys moves through the spans, wherever in the page the focus is.
function useKeys(props: WaterfallProps, at: number, seen: number, ref: { current: HTMLDivElement | null }) {
  useKeydown((e) => {
    const { trace, index, rows, collapsed, active } = props;
    if (rows.length === 0) return false;
    const { children, parent, id } = trace.spans;
    const span = rows[at];
    const target = e.target instanceof Element ? e.target : document.body;
    const inGrid = target === ref.current || target === document.body || target.id === 'main' || target.tagName === 'H1';
    const toRow = (r: number) => props.activate(rows[Math.min(Math.max(r, 0), rows.length - 1)]);
    const toSpan = (s: number) => {
      props.collapse(expanded(trace, collapsed, s));
      props.activate(s);
    };
    switch (e.key) {
      case 'j':
        toRow(at + 1);
        return true;
      case 'k':
        toRow(at - 1);
        return true;
      case 'e':
      case 'E':
        toSpan(next(index.failed, active, e.key === 'e' ? 1 : -1));
        return true;
      case 'f':
      case 'F':
        toSpan(next([...index.findings.keys()].sort((a, b) => a - b), active, e.key === 'f' ? 1 : -1));
        return true;
      case 'z': {
        const [start, length] = [trace.spans.start[span], Math.max(trace.spans.duration[span], 1)];
        props.zoomTo({ from: Math.max(start - length * 0.05, 0), to: start + length * 1.05 });
        return true;
      }
      case '0':
        props.zoomTo(null);
        return true;
    }
    if (!inGrid) return false;
    switch (e.key) {
      case 'ArrowDown':
        toRow(at + 1);
        return true;
      case 'ArrowUp':
        toRow(at - 1);
        return true;
      case 'PageDown':
        toRow(at + seen - 2);
        return true;
      case 'PageUp':
        toRow(at - seen + 2);
        return true;
      case 'Home':
        toRow(0);
        return true;
      case 'End':
        toRow(rows.length - 1);
        return true;
      case 'ArrowRight':
        if (children[span] > 0 && collapsed.has(id[span])) toggle(props, span);
        else if (children[span] > 0) toRow(at + 1);
        return true;
      case 'ArrowLeft':
        if (children[span] > 0 && !collapsed.has(id[span])) toggle(props, span);
        else if (parent[span] >= 0) props.activate(parent[span]);
        return true;
      case 'Enter':
      case ' ':
        props.open(span);
        return true;
    }
    return false;
  });
}

// Row is made again only if something of it is another.
function Row(props: RowProps) {
  const { trace, index, span, row, top, selected, zoom, collapsed } = props;
  const closed = trace.spans.children[span] > 0 && collapsed.has(trace.spans.id[span]);
  return useMemo(() => drawn(props, closed), [trace, index, span, row, top, selected, zoom.from, zoom.to, closed]);
}

function drawn(props: RowProps, closed: boolean) {
  const { trace, index, span: i, zoom } = props;
  const { spans } = trace;
  const service = trace.services[spans.service[i]] ?? '';
  const name = trace.names[spans.name[i]] ?? '';
  const failed = spans.status[i] === 2;
  const kinds = index.findings.get(i) ?? [];
  const below = spans.children[i];
  const depth = spans.depth[i];
  const range = zoom.to - zoom.from || 1;
  const left = Math.min(Math.max((spans.start[i] - zoom.from) / range, 0), 1);
  const end = Math.min(Math.max((spans.start[i] + spans.duration[i] - zoom.from) / range, 0), 1);
  const outside = spans.start[i] > zoom.to || spans.start[i] + spans.duration[i] < zoom.from;
  const critical = parts(index.critical.get(i) ?? [], zoom);
  // The figure stands behind the bar, before it, or over its end.
  const label = end <= 0.82 ? { left: `${100 * end}%` } : left >= 0.18 ? { right: `${100 - 100 * left}%` } : { right: '0', margin: '0' };

  return (
    <div
      id={`row-${i}`}
      data-span={i}
      class={`row ${props.selected ? 'active' : ''} ${failed ? 'bad' : ''}`}
      role="row"
      aria-rowindex={props.row + 2}
      aria-level={depth + 1}
      aria-expanded={below > 0 ? !closed : undefined}
      aria-selected={props.selected}
      style={{ transform: `translateY(${props.top}px)` }}
    >
      <span role="gridcell" class="name" style={{ '--depth': Math.min(depth, levels) } as never}>
        <span class="twisty" aria-hidden="true">
          {below > 0 ? (closed ? '▸' : '▾') : ''}
        </span>
        <span class={`dot ${colour(service)}`} aria-hidden="true" />
        {depth > levels && <span class="deep">{depth}</span>}
        {failed && <ErrorMark label="error" />}
        <span class="text">
          <bdi>{line(name, 120)}</bdi> <bdi class="of">{line(service, 60)}</bdi>
        </span>
        {index.missing.has(i) && (
          <span class="badge" title="its parent is not here">
            no parent
          </span>
        )}
        {kinds.length > 0 && (
          <span class="badge" title={kinds.map(findingTitle).join(', ')}>
            {findingTitle(kinds[0])}
            {kinds.length > 1 ? ` +${kinds.length - 1}` : ''}
          </span>
        )}
        {closed && <span class="hidden">{plural(below, 'span')}</span>}
      </span>
      <span role="gridcell" class="time">
        {!outside && (
          <>
            <span class={`span ${colour(service)}`} style={{ left: `${100 * left}%`, width: `${100 * (end - left)}%` }} />
            {critical.map(([from, width]) => (
              <span key={from} class="critical" style={{ left: `${100 * from}%`, width: `${100 * width}%` }} />
            ))}
          </>
        )}
        <span class="figure" style={outside ? (spans.start[i] > zoom.to ? { right: '0' } : { left: '0' }) : label}>
          {outside && spans.start[i] < zoom.to ? '◂ ' : ''}
          {duration(spans.duration[i])}
          {outside && spans.start[i] > zoom.to ? ' ▸' : ''}
        </span>
      </span>
    </div>
  );
}
