// A table of the operations, each weighed.
import { Fragment } from 'preact';
import type { Operation, Operations, Summary } from './api';
import { count, duration, line, percent, plural, spanKind } from './format';
import { useData, useKept } from './live';
import { Message, Problem, Service } from './parts';
import { changed, go, href, type Route } from './route';
import { Form, apiQuery } from './search';

interface Column {
  key: string;
  title: string;
  value: (o: Operation) => number;
  text: (o: Operation) => string;
  hint?: string;
}

const share = (o: Operation) => (o.count > 0 ? o.errors / o.count : 0);

const columns: Column[] = [
  { key: 'count', title: 'Count', value: (o) => o.count, text: (o) => count(o.count), hint: 'by the weights of the spans' },
  { key: 'rate', title: 'Per second', value: (o) => o.rate, text: (o) => count(o.rate) },
  { key: 'errors', title: 'Errors', value: share, text: (o) => (o.errors > 0 ? `${count(o.errors)} (${percent(share(o))})` : '0') },
  { key: 'p50', title: 'p50', value: (o) => o.p50, text: (o) => duration(o.p50) },
  { key: 'p95', title: 'p95', value: (o) => o.p95, text: (o) => duration(o.p95) },
  { key: 'p99', title: 'p99', value: (o) => o.p99, text: (o) => duration(o.p99) },
];

export function OperationsView({ route, summary, version }: { route: Route; summary: Summary; version: number }) {
  const { data, error } = useData<Operations>('api/operations?' + apiQuery(route.query, ['finding', 'sort', 'limit']), version);
  const known = useKept(data);
  const by = route.query.get('by') ?? 'count';
  const up = route.query.get('order') === 'up';

  const sort = (key: string) => {
    const order = (key === by ? !up : key === 'name') ? 'up' : '';
    go(href('/operations', changed(route.query, { by: key, order })), true);
  };

  const rows = [...(known?.operations ?? [])];
  const column = columns.find((c) => c.key === by);
  const sign = up ? 1 : -1;
  rows.sort((a, b) => {
    if (!column) return sign * (a.service.localeCompare(b.service) || a.name.localeCompare(b.name));
    return sign * (column.value(a) - column.value(b)) || a.name.localeCompare(b.name);
  });
  const heading = (key: string, title: string, hint?: string) => (
    <th role="columnheader" scope="col" class={key} aria-sort={by === key ? (up ? 'ascending' : 'descending') : undefined}>
      <button type="button" title={hint} onClick={() => sort(key)}>
        {title}
        <span aria-hidden="true">{by === key ? (up ? ' ▲' : ' ▼') : ''}</span>
      </button>
    </th>
  );

  return (
    <>
      <Form route={route} summary={summary} path="/operations" />
      {error && !data ? (
        <Problem error={error} />
      ) : !known ? (
        <Message title="Counting…" />
      ) : rows.length === 0 ? (
        <Message title="No span is like this" />
      ) : (
        <div class="results" aria-busy={data === null}>
          <p class="note">
            {plural(rows.length, 'operation')} in {duration(known.seconds * 1e6)}
          </p>
          <table class="operations" role="table">
            <thead role="rowgroup">
              <tr role="row">
                {heading('name', 'Operation')}
                {columns.map((c) => (
                  <Fragment key={c.key}>{heading(c.key, c.title, c.hint)}</Fragment>
                ))}
              </tr>
            </thead>
            <tbody role="rowgroup">
              {rows.map((o) => (
                <tr role="row" key={[o.service, o.name, o.kind].join('\0')}>
                  <th role="rowheader" scope="row" class="name">
                    <a href={href('/search', changed(route.query, { service: o.service, name: o.name, by: '', order: '' }))} data-item>
                      <bdi>{line(o.name, 160)}</bdi>
                    </a>
                    <span class="meta">
                      <Service name={o.service} /> <span>{spanKind(o.kind)}</span>
                    </span>
                  </th>
                  {columns.map((c) => (
                    <td role="cell" key={c.key} data-title={c.title} class={c.key === 'errors' && o.errors > 0 ? 'errors bad' : c.key}>
                      {c.text(o)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
