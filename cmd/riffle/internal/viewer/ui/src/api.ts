// The API of the server, as doc.go of package viewer has it. Every text in it is as
// the spans have it: hostile.

export interface Source {
  name: string;
  spans: number;
  error?: string;
}

export interface Summary {
  version: number;
  spans: number;
  traces: number;
  bytes: number;
  max_bytes: number;
  waiting_traces: number;
  evicted_traces: number;
  rejected_spans: number;
  services: string[] | null;
  operations: { service: string; name: string }[] | null;
  from: number;
  to: number;
  sources: Source[] | null;
  receivers: { grpc: string; http: string };
}

export interface Finding {
  kind: string;
  service: string;
  operation: string;
  traces: string[] | null;
  spans: string[] | null;
  count: number;
  cost_ms: number;
  advice: string;
}

export interface Findings {
  version: number;
  findings: Finding[] | null;
}

export interface Hit {
  id: string;
  service: string;
  name: string;
  start: number;
  duration: number;
  spans: number;
  errors: number;
  services: string[] | null;
  weight: number | null;
  root: boolean;
  findings: string[] | null;
}

export type Point = [time: number, duration: number, error: 0 | 1, trace: string];

export interface Histogram {
  edges: number[] | null;
  weights: number[] | null;
  errors: number[] | null;
}

export interface Results {
  version: number;
  traces_matched: number;
  weight: number;
  took: number;
  traces: Hit[] | null;
  points: Point[] | null;
  histogram: Histogram | null;
}

export interface Operation {
  service: string;
  name: string;
  kind: string | number;
  spans: number;
  count: number;
  rate: number;
  errors: number;
  p50: number;
  p95: number;
  p99: number;
}

export interface Operations {
  version: number;
  seconds: number;
  operations: Operation[] | null;
}

export interface Trace {
  id: string;
  start: number;
  duration: number;
  weight: number | null;
  services: string[];
  names: string[];
  spans: {
    id: string[];
    parent: number[];
    depth: number[];
    service: number[];
    name: number[];
    kind: number[];
    start: number[];
    duration: number[];
    status: number[];
    children: number[];
    missing: number[] | null;
  };
  critical: [index: number, from: number, to: number][] | null;
  findings: Finding[] | null;
}

export interface Attribute {
  key: string;
  type: string;
  value: string;
}

export interface Span {
  id: string;
  parent: string;
  name: string;
  service: string;
  kind: string | number;
  start: number;
  duration: number;
  status: { code: string | number; description?: string };
  weight: number | null;
  tracestate?: string;
  scope?: { name: string; version: string };
  attributes: Attribute[] | null;
  resource: Attribute[] | null;
  dropped?: { attributes: number; events: number; links: number };
  events: { name: string; at: number; attributes: Attribute[] | null }[] | null;
  links: { trace: string; span: string; held: boolean; attributes: Attribute[] | null }[] | null;
}

// Refusal is an answer that is none: a mistake in a query, or what is not there.
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

// get asks the server. The path is our own; what is put into it is escaped.
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { signal, headers: { Accept: 'application/json' } });
  if (response.ok) {
    return (await response.json()) as T;
  }
  let message = `the server answers ${response.status}`;
  try {
    const body = (await response.json()) as { error?: unknown };
    if (typeof body.error === 'string') message = body.error;
  } catch {
    // The status tells enough.
  }
  throw new Refusal(response.status, message);
}
