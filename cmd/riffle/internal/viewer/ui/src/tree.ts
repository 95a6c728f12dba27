// The spans of a trace as rows. Spans are numbers here, in the order of the tree.
import type { Trace } from './api';

// rowsOf are the spans that no collapsed one hides.
export function rowsOf(trace: Trace, collapsed: ReadonlySet<string>): Int32Array {
  const { id, children } = trace.spans;
  const rows = new Int32Array(id.length);
  let n = 0;
  for (let i = 0; i < id.length; i++) {
    rows[n++] = i;
    if (collapsed.size > 0 && collapsed.has(id[i])) i += children[i];
  }
  return rows.subarray(0, n);
}

// rowAt is the row of a span, or of the nearest one above that is shown.
export function rowAt(rows: Int32Array, span: number): number {
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle] <= span) low = middle;
    else high = middle - 1;
  }
  return low;
}

// expanded is what stays collapsed if a span is to be seen.
export function expanded(trace: Trace, collapsed: ReadonlySet<string>, span: number): ReadonlySet<string> {
  let next: Set<string> | null = null;
  for (let i = trace.spans.parent[span]; i >= 0; i = trace.spans.parent[i]) {
    if (!collapsed.has(trace.spans.id[i])) continue;
    next ??= new Set(collapsed);
    next.delete(trace.spans.id[i]);
  }
  return next ?? collapsed;
}

// allCollapsed leaves the roots and what is right below them.
export function allCollapsed(trace: Trace): ReadonlySet<string> {
  const { id, children, depth } = trace.spans;
  return new Set(id.filter((_, i) => children[i] > 0 && depth[i] > 0));
}

export interface Zoom {
  from: number;
  to: number;
}

// Index is what is looked up in a trace while it is shown.
export interface Index {
  byID: Map<string, number>;
  critical: Map<number, [from: number, to: number][]>;
  findings: Map<number, string[]>;
  missing: Set<number>;
  failed: number[];
}

export function indexOf(trace: Trace): Index {
  const byID = new Map<string, number>();
  trace.spans.id.forEach((id, i) => {
    if (!byID.has(id)) byID.set(id, i);
  });
  const critical = new Map<number, [number, number][]>();
  for (const [i, from, to] of trace.critical ?? []) {
    const parts = critical.get(i);
    if (parts) parts.push([from, to]);
    else critical.set(i, [[from, to]]);
  }
  const findings = new Map<number, string[]>();
  for (const f of trace.findings ?? []) {
    for (const span of f.spans ?? []) {
      const i = byID.get(span);
      if (i === undefined) continue;
      const kinds = findings.get(i);
      if (!kinds) findings.set(i, [f.kind]);
      else if (!kinds.includes(f.kind)) kinds.push(f.kind);
    }
  }
  const failed: number[] = [];
  trace.spans.status.forEach((status, i) => {
    if (status === 2) failed.push(i);
  });
  return { byID, critical, findings, missing: new Set(trace.spans.missing ?? []), failed };
}

// parts are stretches of the critical path as shares of what is shown; those that no
// eye can tell apart are one.
export function parts(all: [from: number, to: number][], zoom: Zoom): [left: number, width: number][] {
  const range = zoom.to - zoom.from || 1;
  const found: [number, number][] = [];
  for (const [from, to] of all) {
    const left = Math.max((from - zoom.from) / range, 0);
    const right = Math.min((to - zoom.from) / range, 1);
    if (right < left) continue;
    const last = found[found.length - 1];
    if (last && left - (last[0] + last[1]) < 0.002) last[1] = Math.max(right - last[0], last[1]);
    else found.push([left, right - left]);
  }
  return found;
}

// next is the member of a sorted list that comes after a span, or before it, round the end.
export function next(all: number[], span: number, by: 1 | -1): number {
  if (all.length === 0) return span;
  if (by > 0) return all.find((i) => i > span) ?? all[0];
  return all.findLast((i) => i < span) ?? all[all.length - 1];
}
