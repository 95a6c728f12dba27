// What the server has, kept current.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, Refusal, type Summary } from './api';

const interval = 2000;

export interface Live {
  summary: Summary | null;
  // version is that of the summary, or the one at which it was paused.
  version: number;
  lost: boolean;
}

// useSummary asks for the summary every two seconds. A page that nobody sees asks for
// nothing.
export function useSummary(paused: boolean): Live {
  const [live, set] = useState<Live>({ summary: null, version: 0, lost: false });
  useEffect(() => {
    if (paused) return undefined;
    let timer = 0;
    let over = false;
    const poll = async () => {
      if (!document.hidden) {
        try {
          const summary = await get<Summary>('api/summary');
          if (over) return;
          set((was) => (!was.lost && same(was.summary, summary) ? was : { summary, version: summary.version, lost: false }));
        } catch {
          if (over) return;
          set((was) => (was.lost ? was : { ...was, lost: true }));
        }
      }
      timer = window.setTimeout(poll, interval);
    };
    const shown = () => {
      if (document.hidden) return;
      window.clearTimeout(timer);
      void poll();
    };
    document.addEventListener('visibilitychange', shown);
    void poll();
    return () => {
      over = true;
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', shown);
    };
  }, [paused]);
  return live;
}

// A source can fail while no span comes.
function same(a: Summary | null, b: Summary): boolean {
  return a?.version === b.version && JSON.stringify(a.sources) === JSON.stringify(b.sources);
}

// What was shown last, so that going back shows it at once.
const cache = new Map<string, unknown>();
const cached = 8;

function remember(path: string, data: unknown) {
  cache.delete(path);
  cache.set(path, data);
  for (const oldest of cache.keys()) {
    if (cache.size <= cached) break;
    cache.delete(oldest);
  }
}

export interface Data<T> {
  data: T | null;
  error: Refusal | Error | null;
  loading: boolean;
}

interface Request {
  path: string;
  version: number;
  abort: AbortController;
}

// useData asks for a path, and again whenever the version changes: after the answer
// that is under way, so that a server that is busy gets one question at a time. What is
// there stays until the new answer comes. A server that is busy may answer with what it
// had before: then it is asked again, because the version may never change any more.
export function useData<T>(path: string | null, version: number): Data<T> {
  const [state, set] = useState<Data<T> & { path: string | null }>({ data: null, error: null, loading: true, path: null });
  const running = useRef<Request | null>(null);
  const wanted = useRef({ path, version });
  wanted.current = { path, version };
  const later = useRef(0);

  useEffect(() => {
    window.clearTimeout(later.current);
    const ask = () => {
      const { path, version } = wanted.current;
      if (path === null) return;
      const request = { path, version, abort: new AbortController() };
      running.current = request;
      get<T>(path, request.abort.signal)
        .then(
          (data) => {
            remember(path, data);
            return { data, error: null };
          },
          (error: Error) => ({ data: null, error }),
        )
        .then(({ data, error }) => {
          if (running.current !== request) return;
          running.current = null;
          set((was) => ({ path, data: data ?? (error instanceof Refusal ? null : was.path === path ? was.data : null), error, loading: false }));
          if (wanted.current.path !== path) return;
          if (wanted.current.version !== version) ask();
          else if (data !== null && older(data, version)) later.current = window.setTimeout(ask, interval);
        });
    };
    const request = running.current;
    if (request && request.path === path) return;
    request?.abort.abort();
    running.current = null;
    ask();
  }, [path, version]);
  useEffect(
    () => () => {
      window.clearTimeout(later.current);
      running.current?.abort.abort();
      running.current = null;
    },
    [],
  );

  if (state.path === path) return state;
  const known = path === null ? undefined : (cache.get(path) as T | undefined);
  return { data: known ?? null, error: null, loading: path !== null };
}

function older(data: unknown, version: number): boolean {
  const had = (data as { version?: unknown }).version;
  return typeof had === 'number' && had < version;
}

// useKept returns what was there last while there is nothing new, so that a list does
// not vanish between two queries.
export function useKept<T>(data: T | null): T | null {
  const kept = useRef<T | null>(null);
  if (data !== null) kept.current = data;
  return kept.current;
}

// useWidth is the width of an element, as it changes.
export function useWidth<E extends Element>() {
  const ref = useRef<E>(null);
  const [width, set] = useState(0);
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver((entries) => set(Math.floor(entries[0].contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

// useMedia tells whether a media query matches.
export function useMedia(query: string): boolean {
  const [matches, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => set(media.matches);
    changed();
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, [query]);
  return matches;
}
