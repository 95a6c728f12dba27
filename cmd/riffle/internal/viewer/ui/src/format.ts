// Figures and texts for the eye.

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, useGrouping: false });

export function count(n: number): string {
  return numbers.format(n);
}

// percent does not call a few none.
export function percent(share: number): string {
  return share > 0 && share < 0.0005 ? '< 0.1 %' : `${count(100 * share)} %`;
}

export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// duration writes microseconds with three digits.
export function duration(us: number): string {
  if (!Number.isFinite(us)) return '–';
  const abs = Math.abs(us);
  if (abs >= 3600e6) return `${three.format(us / 3600e6)} h`;
  if (abs >= 120e6) return `${three.format(us / 60e6)} min`;
  if (abs >= 999.5e3) return `${three.format(us / 1e6)} s`;
  if (abs >= 999.5) return `${three.format(us / 1e3)} ms`;
  if (abs >= 1 || us === 0) return `${three.format(us)} µs`;
  return `${three.format(us * 1e3)} ns`;
}

// goDuration writes microseconds as the server reads them.
export function goDuration(us: number): string {
  return us >= 1000 ? `${+(us / 1000).toPrecision(6)}ms` : `${+us.toPrecision(6)}us`;
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${three.format(n)} ${units[unit]}`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
const day = new Intl.DateTimeFormat('en-CA', { year: 'numeric', month: '2-digit', day: '2-digit' });

// A time that no clock can show is one that a span made up.
function date(us: number): Date | null {
  const d = new Date(us / 1000);
  return Number.isNaN(d.getTime()) ? null : d;
}

export function time(us: number): string {
  const d = date(us);
  if (!d) return `${us} µs`;
  const at = clock.format(d);
  return day.format(d) === day.format(new Date()) ? at : `${day.format(d)} ${at}`;
}

export function fullTime(us: number): string {
  return date(us)?.toISOString() ?? `${us} µs`;
}

// weight says how many traces or spans one stands for. Nobody knows where there is none.
export function weight(w: number | null): string {
  return w === null ? 'stands for an unknown number' : `stands for ${count(w)}`;
}

// Characters that would change how what follows them is shown.
const invisible = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/g;

function seen(c: string): string {
  if (c === '\n') return '↵';
  return `⟨${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}⟩`;
}

// cut makes a text at most n characters long, and halves no pair of surrogates.
export function cut(text: string, n: number): string {
  if (text.length <= n) return text;
  const end = text.charCodeAt(n - 1);
  return text.slice(0, end >= 0xd800 && end < 0xdc00 ? n - 1 : n) + '…';
}

// line makes one line of a text: it is cut, and what cannot be seen is made visible.
export function line(text: string, n = 200): string {
  return cut(text, n).replace(invisible, seen) || '(no name)';
}

// block leaves the lines of a text as they are.
export function block(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(invisible, (c) => (c === '\n' || c === '\t' ? c : seen(c)));
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];

export function spanKind(kind: string | number): string {
  if (typeof kind === 'number') return kinds[kind] ?? String(kind);
  return line(kind, 40).toLowerCase();
}

const statuses = ['unset', 'ok', 'error'];

export function status(code: string | number): string {
  return typeof code === 'number' ? (statuses[code] ?? String(code)) : line(code, 40).toLowerCase();
}

export function isError(code: string | number): boolean {
  return code === 2 || String(code).toLowerCase() === 'error';
}

const titles: Record<string, string> = {
  n_plus_one: 'N+1 queries',
  sequential_calls: 'Sequential calls',
  slow_query: 'Slow query',
  slow_external_call: 'Slow external call',
  error_origin: 'Origin of errors',
  retry: 'Retries',
  gap: 'Gap',
  fan_out: 'Fan-out',
  chatty: 'Chatty services',
  unended_span: 'Unended span',
  clock_skew: 'Clock skew',
  missing_parent: 'Missing parent',
  large_attribute: 'Large attribute',
};

export const findingKinds = Object.keys(titles);

export function findingTitle(kind: string): string {
  return titles[kind] ?? line(kind, 40);
}

// Colours of services: each keeps the first one that it gets.
const palette = 12;
const colours = new Map<string, number>();

export function colour(service: string): string {
  let n = colours.get(service);
  if (n === undefined) {
    let hash = 0;
    for (let i = 0; i < service.length && i < 200; i++) hash = (Math.imul(hash, 31) + service.charCodeAt(i)) >>> 0;
    n = hash % palette;
    const taken = new Set(colours.values());
    for (let i = 0; i < palette && taken.has(n); i++) n = (n + 1) % palette;
    if (colours.size < 10000) colours.set(service, n);
  }
  return `s${n}`;
}
