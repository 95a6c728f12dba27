// All that a span says.
import { useState } from 'preact/hooks';
import type { Attribute, Finding, Span } from './api';
import { block, count, cut, duration, findingTitle, fullTime, isError, line, plural, spanKind, status, weight } from './format';
import { useData } from './live';
import { ErrorMark, Message, Problem, Service } from './parts';
import { href, traceHref } from './route';

interface Props {
  trace: string;
  span: string;
  version: number;
  findings: Finding[];
  close: () => void;
}

export function Details({ trace, span, version, findings, close }: Props) {
  const { data: s, error } = useData<Span>(`api/traces/${encodeURIComponent(trace)}/spans/${encodeURIComponent(span)}`, version);
  return (
    <aside class="details" aria-label="Span" tabIndex={0}>
      <button type="button" class="close" aria-label="Close" title="Close (Esc)" onClick={close}>
        ✕
      </button>
      {error ? <Problem error={error} /> : !s ? <Message title="Loading…" /> : <Content key={s.id} trace={trace} span={s} findings={findings} />}
    </aside>
  );
}

function Content({ trace, span: s, findings }: { trace: string; span: Span; findings: Finding[] }) {
  const failed = isError(s.status.code);
  const dropped = s.dropped && s.dropped.attributes + s.dropped.events + s.dropped.links > 0 ? s.dropped : null;
  return (
    <>
      <h2>
        <Long text={s.name} short={300} />
      </h2>
      <p class="meta">
        <Service name={s.service} /> <span>{spanKind(s.kind)}</span>
        <strong>{duration(s.duration)}</strong>
      </p>
      {failed && (
        <p class="status">
          <ErrorMark /> <strong>Error</strong> {s.status.description ? <Long text={s.status.description} short={1000} /> : 'without a description'}
        </p>
      )}
      {findings.map((f) => (
        <p class="advice" key={f.kind + f.operation}>
          <strong>{findingTitle(f.kind)}</strong> <bdi>{line(f.advice, 1000)}</bdi>
        </p>
      ))}
      <Attributes title="Attributes" all={s.attributes} search />
      {(s.events ?? []).length > 0 && (
        <section>
          <h3>Events</h3>
          {(s.events ?? []).map((e, i) => (
            <div class="event" key={i}>
              <p>
                <strong>
                  <bdi>{line(e.name, 200)}</bdi>
                </strong>{' '}
                <span class="dim">at {duration(e.at)}</span>
              </p>
              <List all={e.attributes ?? []} />
            </div>
          ))}
        </section>
      )}
      {(s.links ?? []).length > 0 && (
        <section>
          <h3>Links</h3>
          {(s.links ?? []).map((l, i) => (
            <div class="event" key={i}>
              <p>
                {l.held ? (
                  <a href={traceHref(l.trace, l.span)}>
                    <code>{line(l.trace, 32)}</code>
                  </a>
                ) : (
                  <>
                    <code>{line(l.trace, 32)}</code> <span class="dim">is not here</span>
                  </>
                )}
                <br />
                <span class="dim">
                  span <code>{line(l.span, 16)}</code>
                </span>
              </p>
              <List all={l.attributes ?? []} />
            </div>
          ))}
        </section>
      )}
      <Attributes title="Resource" all={s.resource} />
      <section>
        <h3>Span</h3>
        <dl>
          <Plain name="span ID" value={s.id} />
          <Plain name="parent" value={s.parent || 'none'} />
          <Plain name="trace ID" value={trace} />
          <Plain name="start" value={fullTime(s.start)} />
          <Plain name="status" value={status(s.status.code)} />
          <Plain name="weight" value={weight(s.weight)} />
          {s.tracestate ? <Plain name="tracestate" value={s.tracestate} /> : null}
          {s.scope?.name ? <Plain name="scope" value={`${s.scope.name} ${s.scope.version}`} /> : null}
          {dropped && (
            <Plain
              name="dropped"
              value={`${plural(dropped.attributes, 'attribute')}, ${plural(dropped.events, 'event')}, ${plural(dropped.links, 'link')}`}
            />
          )}
        </dl>
      </section>
    </>
  );
}

function Plain({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Long text={value} short={500} />
      </dd>
    </div>
  );
}

function Attributes({ title, all, search }: { title: string; all: Attribute[] | null; search?: boolean }) {
  if (!all || all.length === 0) return null;
  return (
    <section>
      <h3>
        {title} <span class="dim">{all.length}</span>
      </h3>
      <List all={all} search={search} />
    </section>
  );
}

const most = 200;

function List({ all, search }: { all: Attribute[]; search?: boolean }) {
  const [whole, setWhole] = useState(false);
  if (all.length === 0) return null;
  return (
    <>
      <dl>
        {all.slice(0, whole ? undefined : most).map((a, i) => (
          <div key={i}>
            <dt title={line(a.type, 40)}>
              <bdi>{line(a.key, 200)}</bdi>
              {search && a.value.length <= 200 && (
                <a class="find" href={href('/search', { attr: `${a.key}=${a.value}` })} aria-label={`find spans with this ${line(a.key, 60)}`} title="find spans with this">
                  find
                </a>
              )}
            </dt>
            {a.key === 'exception.stacktrace' || a.value.includes('\n') ? (
              <dd class="text">
                <Long text={a.value} short={6000} scrolls={line(a.key, 60)} />
              </dd>
            ) : (
              <dd>
                <Long text={a.value} short={1500} />
              </dd>
            )}
          </div>
        ))}
      </dl>
      {!whole && all.length > most && (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {all.length}
        </button>
      )}
    </>
  );
}

// Long is a text that may be very long: the page shows its start until it is asked. One
// that scrolls can be reached by keyboard, and has a name.
function Long({ text, short, scrolls }: { text: string; short: number; scrolls?: string }) {
  const [whole, setWhole] = useState(false);
  if (text === '') return <span class="dim">empty</span>;
  return (
    <>
      <bdi class="value" tabIndex={scrolls ? 0 : undefined} role={scrolls ? 'group' : undefined} aria-label={scrolls}>
        {block(whole ? text : cut(text, short))}
      </bdi>
      {!whole && text.length > short && (
        <button type="button" class="small" onClick={() => setWhole(true)}>
          show all {count(text.length)} characters
        </button>
      )}
    </>
  );
}
