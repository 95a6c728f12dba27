// Small parts that several views show.
import type { ComponentChildren } from 'preact';
import { colour, findingTitle, line } from './format';

export function Service({ name }: { name: string }) {
  return (
    <span class="service">
      <span class={`dot ${colour(name)}`} />
      <bdi>{line(name, 60)}</bdi>
    </span>
  );
}

export function Badge({ kind }: { kind: string }) {
  return <span class={`badge ${kind === 'error_origin' ? 'bad' : ''}`}>{findingTitle(kind)}</span>;
}

export function Failed({ n }: { n: number }) {
  return (
    <span class="failed">
      <ErrorMark /> {n === 1 ? '1 error' : `${n} errors`}
    </span>
  );
}

// ErrorMark has a shape of its own: a colour alone says nothing to who does not see it.
export function ErrorMark({ label }: { label?: string }) {
  return (
    <svg class="mark" viewBox="0 0 12 12" role={label ? 'img' : undefined} aria-label={label} aria-hidden={label ? undefined : 'true'}>
      <path d="M6 0 12 6 6 12 0 6Z" />
      <path class="in" d="M5.3 2.5h1.4v4.2H5.3zM5.3 7.8h1.4v1.5H5.3z" />
    </svg>
  );
}

export function Message({ title, children, alert }: { title: string; children?: ComponentChildren; alert?: boolean }) {
  return (
    <div class="message" role={alert ? 'alert' : 'status'}>
      <p class="title">{title}</p>
      {children}
    </div>
  );
}

export function Problem({ error }: { error: Error }) {
  return (
    <Message title="This could not be shown" alert>
      <p>
        <bdi>{line(error.message, 500)}</bdi>
      </p>
    </Message>
  );
}

// Select is a choice of values, of which the one that is set may be gone by now.
export function Select(props: { id: string; label: string; value: string; all: string; values: string[]; text?: (v: string) => string; onChange: (v: string) => void }) {
  const values = props.value && !props.values.includes(props.value) ? [props.value, ...props.values] : props.values;
  return (
    <label class="field" for={props.id}>
      <span>{props.label}</span>
      <select id={props.id} value={props.value} onChange={(e) => props.onChange(e.currentTarget.value)}>
        <option value="">{props.all}</option>
        {values.map((v) => (
          <option key={v} value={v}>
            {props.text ? props.text(v) : line(v, 80)}
          </option>
        ))}
      </select>
    </label>
  );
}
