// A search, and what it found.
import { useEffect, useState } from 'preact/hooks';
import type { Hit, Results, Summary } from './api';
import { Charts } from './charts';
import { count, duration, findingKinds, findingTitle, fullTime, line, plural, time } from './format';
import { useData, useKept } from './live';
import { Badge, Failed, Message, Problem, Select, Service } from './parts';
import { changed, go, href, traceHref, type Route } from './route';

const keys = ['service', 'name', 'status', 'min', 'max', 'trace_min', 'trace_below', 'attr', 'q', 'from', 'to', 'finding', 'sort', 'limit'];

// apiQuery is what the server is asked: the state has more in it than it knows.
export function apiQuery(query: URLSearchParams, without: string[] = []): string {
  const asked = new URLSearchParams();
  for (const [key, value] of query) {
    if (keys.includes(key) && !without.includes(key) && value) asked.append(key, value);
  }
  return asked.toString();
}

// A field for a time has none of the time zone, so that it is the one of the browser.
function toField(us: string): string {
  const ms = Number(us) / 1000;
  const d = new Date(ms - new Date(ms).getTimezoneOffset() * 60000);
  return us && !Number.isNaN(d.getTime()) ? d.toISOString().slice(0, 19) : '';
}

function fromField(value: string): string {
  const ms = value ? new Date(value).getTime() : NaN;
  return Number.isNaN(ms) ? '' : String(ms * 1000);
}

const fields = ['q', 'service', 'name', 'status', 'min', 'max', 'trace_min', 'trace_below', 'from', 'to', 'finding'] as const;
type Key = (typeof fields)[number];
type Draft = Record<Key, string> & { attrs: string[] };

function draftOf(query: URLSearchParams): Draft {
  const texts = Object.fromEntries(fields.map((f) => [f, query.get(f) ?? ''])) as Record<Key, string>;
  return { ...texts, attrs: [...query.getAll('attr'), ''] };
}

// Form is what is searched for. Text counts when it is sent, a choice at once.
export function Form({ route, summary, path }: { route: Route; summary: Summary; path: '/search' | '/operations' }) {
  // What is typed is about one state; another state begins with its own.
  const [typed, setTyped] = useState<{ hash: string; draft: Draft } | null>(null);
  const draft = typed?.hash === route.hash ? typed.draft : draftOf(route.query);
  const set = (draft: Draft) => setTyped({ hash: route.hash, draft });
  const refined = ['min', 'max', 'trace_min', 'trace_below', 'attr', 'from', 'to', 'finding'].some((k) => route.query.has(k));
  const [open, setOpen] = useState(refined);
  useEffect(() => {
    if (refined) setOpen(true);
  }, [route.hash]);

  const send = (d: Draft) => {
    const query = changed(route.query, Object.fromEntries(fields.map((f) => [f, d[f].trim()])));
    query.delete('attr');
    for (const a of d.attrs) if (a.trim()) query.append('attr', a.trim());
    go(href(path, query));
  };
  const type = (key: Key) => (e: { currentTarget: HTMLInputElement }) => set({ ...draft, [key]: e.currentTarget.value });
  const choose = (key: Key) => (value: string) => {
    const next = { ...draft, [key]: value };
    set(next);
    send(next);
  };
  const attr = (i: number, value: string) => {
    const attrs = draft.attrs.with(i, value);
    if (attrs[attrs.length - 1]) attrs.push('');
    set({ ...draft, attrs });
  };
  const input = (key: Key, label: string, placeholder = '', list?: string) => (
    <label class={`field ${key}`} for={`f-${key}`}>
      <span>{label}</span>
      <input id={`f-${key}`} type="text" value={draft[key]} placeholder={placeholder} list={list} autocomplete="off" spellcheck={false} onInput={type(key)} />
    </label>
  );
  const names = (summary.operations ?? []).filter((o) => !draft.service || o.service === draft.service);

  return (
    <form
      class="search"
      role="search"
      onSubmit={(e) => {
        e.preventDefault();
        send(draft);
      }}
    >
      <label class="field q" for="f-q">
        <span>Text</span>
        <input id="f-q" type="search" value={draft.q} placeholder="names, attribute values, errors, IDs" autocomplete="off" spellcheck={false} onInput={type('q')} />
      </label>
      <Select id="f-service" label="Service" value={draft.service} all="any" values={summary.services ?? []} onChange={choose('service')} />
      {input('name', 'Name of the span', 'any', 'names')}
      <datalist id="names">
        {[...new Set(names.map((o) => o.name))].slice(0, 300).map((n) => (
          <option key={n} value={n.slice(0, 300)} />
        ))}
      </datalist>
      <Select id="f-status" label="Status" value={draft.status} all="any" values={['error', 'ok']} onChange={choose('status')} />
      <button type="submit" class="primary">
        Search
      </button>
      <details open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>Duration, attributes, time{path === '/search' ? ', findings' : ''}</summary>
        <div class="more">
          {input('min', 'Span at least', '250ms')}
          {input('max', 'Span at most', '2s')}
          {input('trace_min', 'Trace at least', '250ms')}
          {input('trace_below', 'Trace below', '2s')}
          <label class="field from" for="f-from">
            <span>From</span>
            <input id="f-from" type="datetime-local" step="1" value={toField(draft.from)} onChange={(e) => set({ ...draft, from: fromField(e.currentTarget.value) })} />
          </label>
          <label class="field to" for="f-to">
            <span>To</span>
            <input id="f-to" type="datetime-local" step="1" value={toField(draft.to)} onChange={(e) => set({ ...draft, to: fromField(e.currentTarget.value) })} />
          </label>
          {path === '/search' && (
            <Select id="f-finding" label="Finding" value={draft.finding} all="any" values={findingKinds} text={findingTitle} onChange={choose('finding')} />
          )}
          <fieldset class="attrs">
            <legend>Attributes</legend>
            {draft.attrs.map((a, i) => (
              <input
                key={i}
                type="text"
                value={a}
                aria-label={`Attribute ${i + 1}, key=value`}
                placeholder="key=value"
                autocomplete="off"
                spellcheck={false}
                onInput={(e) => attr(i, e.currentTarget.value)}
              />
            ))}
          </fieldset>
        </div>
      </details>
    </form>
  );
}

const sorts: Record<string, string> = { recent: 'newest', longest: 'longest', spans: 'most spans' };

export function SearchView({ route, summary, version }: { route: Route; summary: Summary; version: number }) {
  const { data, error } = useData<Results>('api/search?' + apiQuery(route.query), version);
  const known = useKept(data);
  const hits = known?.traces ?? [];
  const longest = Math.max(...hits.map((h) => h.duration), 0);
  const sort = route.query.get('sort') || 'recent';

  return (
    <>
      <Form route={route} summary={summary} path="/search" />
      {error && !data ? (
        <Problem error={error} />
      ) : !known ? (
        <Message title="Searching…" />
      ) : (
        <div class="results" aria-busy={data === null}>
          <Charts results={known} query={route.query} />
          <div class="bar">
            <p class="note" role="status">
              {plural(known.traces_matched, 'trace')}, by weight {count(known.weight)}
              <span class="took"> · {duration(known.took)}</span>
            </p>
            <label class="field inline" for="sort">
              <span>Sort by</span>
              <select id="sort" value={sort} onChange={(e) => go(href('/search', changed(route.query, { sort: e.currentTarget.value })), true)}>
                {Object.entries(sorts).map(([value, text]) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            </label>
          </div>
          {hits.length === 0 ? (
            <Message title="No trace is like this" />
          ) : (
            <ol class="hits" aria-label="Traces">
              {hits.map((h) => (
                <Row key={h.id} hit={h} longest={longest} />
              ))}
            </ol>
          )}
          {known.traces_matched > hits.length && hits.length < 1000 && (
            <p class="note">
              <button type="button" onClick={() => go(href('/search', changed(route.query, { limit: '1000' })), true)}>
                Show up to 1000
              </button>
            </p>
          )}
        </div>
      )}
    </>
  );
}

const services = 6;

function Row({ hit: h, longest }: { hit: Hit; longest: number }) {
  const all = h.services ?? [];
  return (
    <li class="hit">
      <span class="title">
        <a href={traceHref(h.id)} data-item class="cover">
          <bdi>{line(h.name, 160)}</bdi>
        </a>
        {!h.root && (
          <span class="badge" title="the root of the trace is not here">
            no root
          </span>
        )}
        {h.errors > 0 && <Failed n={h.errors} />}
        {(h.findings ?? []).map((kind) => (
          <Badge key={kind} kind={kind} />
        ))}
      </span>
      <span class="took">
        <span class="meter">
          <span style={{ width: longest > 0 ? `${(100 * h.duration) / longest}%` : '0' }} />
        </span>
        <strong>{duration(h.duration)}</strong>
      </span>
      <span class="meta">
        {all.slice(0, services).map((s) => (
          <Service key={s} name={s} />
        ))}
        {all.length > services && <span>and {all.length - services} more</span>}
        <span>{plural(h.spans, 'span')}</span>
        <span title={h.weight === null ? 'nobody says how many traces it stands for' : undefined}>×{h.weight === null ? '?' : count(h.weight)}</span>
        <time dateTime={fullTime(h.start)}>{time(h.start)}</time>
      </span>
    </li>
  );
}
