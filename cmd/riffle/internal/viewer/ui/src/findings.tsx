// What is wrong, the most time lost first.
import type { Finding, Findings, Summary } from './api';
import { duration, findingKinds, findingTitle, line, plural } from './format';
import { useData, useKept } from './live';
import { Message, Problem, Select, Service } from './parts';
import { changed, go, href, traceHref, type Route } from './route';

const most = 500;

export function FindingsView({ route, summary, version }: { route: Route; summary: Summary; version: number }) {
  const { data, error } = useData<Findings>('api/findings', version);
  const known = useKept(data);
  const kind = route.query.get('kind') ?? '';
  const service = route.query.get('service') ?? '';
  const set = (key: string, value: string) => go(href('/', changed(route.query, { [key]: value })));

  if (error && !known) return <Problem error={error} />;
  if (!known) return <Message title="Looking for findings…" />;
  const all = known.findings ?? [];
  const ofService = all.filter((f) => !service || f.service === service);
  const shown = ofService.filter((f) => !kind || f.kind === kind).sort((a, b) => b.cost_ms - a.cost_ms || b.count - a.count);
  const kinds = new Map<string, number>();
  for (const f of ofService) kinds.set(f.kind, (kinds.get(f.kind) ?? 0) + 1);
  const chips = [...kinds.keys()].sort((a, b) => findingKinds.indexOf(a) - findingKinds.indexOf(b));
  if (kind && !kinds.has(kind)) chips.unshift(kind);
  const costliest = Math.max(...shown.map((f) => f.cost_ms), 0);

  return (
    <>
      <div class="bar">
        <div class="chips" role="group" aria-label="Kind">
          <button type="button" class="chip" aria-pressed={!kind} onClick={() => set('kind', '')}>
            All <span class="n">{ofService.length}</span>
          </button>
          {chips.map((k) => (
            <button key={k} type="button" class="chip" aria-pressed={k === kind} onClick={() => set('kind', k === kind ? '' : k)}>
              {findingTitle(k)} <span class="n">{kinds.get(k) ?? 0}</span>
            </button>
          ))}
        </div>
        <Select
          id="findings-service"
          label="Service"
          value={service}
          all="all services"
          values={[...new Set(all.map((f) => f.service))].sort()}
          onChange={(v) => set('service', v)}
        />
      </div>
      {shown.length === 0 ? (
        <Message title={all.length > 0 ? 'No finding is like this' : summary.waiting_traces > 0 ? 'Nothing was found yet' : 'Nothing was found'}>
          {all.length === 0 && !(summary.waiting_traces > 0) && (
            <p>
              {plural(summary.traces, 'trace')} with {plural(summary.spans, 'span')} were looked at. <a href="#/search">Search them</a>.
            </p>
          )}
        </Message>
      ) : (
        <ol class="findings" aria-label="Findings, the most time lost first">
          {shown.slice(0, most).map((f) => (
            <Card key={[f.kind, f.service, f.operation].join('\0')} finding={f} costliest={costliest} />
          ))}
        </ol>
      )}
      {summary.waiting_traces > 0 && <p class="note">{plural(summary.waiting_traces, 'trace')} not looked at yet.</p>}
      {shown.length > most && <p class="note">{plural(shown.length - most, 'more finding')} cost less.</p>}
    </>
  );
}

function Card({ finding: f, costliest }: { finding: Finding; costliest: number }) {
  const traces = f.traces ?? [];
  const target = traces.length > 0 ? traceHref(traces[0], f.spans?.[0] ?? '') : href('/search', { finding: f.kind, service: f.service });
  return (
    <li class={`finding k-${f.kind === 'error_origin' || f.kind === 'retry' ? 'bad' : f.cost_ms > 0 ? 'slow' : 'odd'}`}>
      <div class="cost">
        <strong>{f.cost_ms > 0 ? duration(f.cost_ms * 1000) : '–'}</strong>
        <span>{f.cost_ms > 0 ? 'lost' : 'no time lost'}</span>
        <span class="meter">
          <span style={{ width: costliest > 0 ? `${Math.max((100 * f.cost_ms) / costliest, 0)}%` : '0' }} />
        </span>
      </div>
      <div class="what">
        <h2>
          <a href={target} data-item class="cover">
            <span class="kind">{findingTitle(f.kind)}</span> <bdi class="operation">{line(f.operation, 160)}</bdi>
          </a>
        </h2>
        <p class="meta">
          <Service name={f.service} /> <span>{plural(f.count, 'time')}</span>
        </p>
        <p class="advice">
          <bdi>{line(f.advice, 1000)}</bdi>
        </p>
        {traces.length > 0 && (
          <p class="examples">
            Examples
            {traces.map((t, i) => (
              <a key={t} href={traceHref(t, i === 0 ? (f.spans?.[0] ?? '') : '')}>
                <code>{t.slice(0, 8)}</code>
              </a>
            ))}
            <a href={href('/search', { finding: f.kind, service: f.service })}>all such traces</a>
          </p>
        )}
      </div>
    </li>
  );
}
