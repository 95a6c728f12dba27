// The page: where one is, what there is, and the keys.
import { render } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Summary } from './api';
import { FindingsView } from './findings';
import { bytes, count, line, plural } from './format';
import { help, moveItem, useKeydown, useLeavingFields } from './keys';
import { useSummary } from './live';
import { OperationsView } from './operations';
import { Message } from './parts';
import { go, href, listShown, restore, useRoute, type Route } from './route';
import { SearchView } from './search';
import { useTheme } from './theme';
import { TraceView } from './trace';

const titles = { findings: 'Findings', search: 'Search', operations: 'Operations', trace: 'Trace', unknown: 'Not found' };

function App() {
  const route = useRoute();
  const [paused, setPaused] = useState(false);
  const { summary, version, lost } = useSummary(paused);
  const [theme, toggleTheme] = useTheme();
  const dialog = useRef<HTMLDialogElement>(null);

  useKeydown((e) =>
    key(e, route, {
      pause: () => setPaused((was) => !was),
      theme: toggleTheme,
      help: () => dialog.current?.showModal(),
    }),
  );
  useLeavingFields();
  useArrival(route, summary !== null);

  const empty = summary !== null && summary.spans === 0;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => focusMain(e)}>
        To the content
      </a>
      <header class="top">
        <a class="logo" href="#/">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M4 8h24M9 16h14M14 24h5" />
          </svg>
          riffle
        </a>
        <nav aria-label="Views">
          {(['findings', 'search', 'operations'] as const).map((view) => (
            <a key={view} href={view === 'findings' ? '#/' : `#/${view}`} aria-current={route.view === view ? 'page' : undefined}>
              {titles[view]}
            </a>
          ))}
        </nav>
        <State summary={summary} paused={paused} lost={lost} />
        <span class="buttons">
          <button type="button" aria-pressed={paused} title="Pause (p)" onClick={() => setPaused(!paused)}>
            {paused ? 'Paused' : 'Live'}
          </button>
          <button type="button" aria-label={theme === 'dark' ? 'Light colours' : 'Dark colours'} title="Light or dark (t)" onClick={toggleTheme}>
            {theme === 'dark' ? '☀' : '☾'}
          </button>
          <button type="button" aria-label="Help" title="Keys (?)" onClick={() => dialog.current?.showModal()}>
            ?
          </button>
        </span>
      </header>
      <main id="main" tabIndex={-1} class={`view-${route.view}`}>
        {lost && <p class="lost" role="alert">riffle does not answer. What is shown is what it said last.</p>}
        {route.view !== 'trace' && <h1 class="hidden" tabIndex={-1}>{titles[route.view]}</h1>}
        {!summary ? (
          !lost && <Message title="Loading…" />
        ) : empty && route.view !== 'trace' ? (
          <Empty summary={summary} />
        ) : (
          <View route={route} summary={summary} version={version} />
        )}
      </main>
      <Help dialog={dialog} />
    </>
  );
}

function View({ route, summary, version }: { route: Route; summary: Summary; version: number }) {
  switch (route.view) {
    case 'findings':
      return <FindingsView route={route} summary={summary} version={version} />;
    case 'search':
      return <SearchView route={route} summary={summary} version={version} />;
    case 'operations':
      return <OperationsView route={route} summary={summary} version={version} />;
    case 'trace':
      return <TraceView key={route.trace} route={route} version={version} />;
    default:
      return (
        <Message title="There is no such view">
          <p>
            <a href="#/">To the findings</a>
          </p>
        </Message>
      );
  }
}

function State({ summary, paused, lost }: { summary: Summary | null; paused: boolean; lost: boolean }) {
  if (!summary) return <span class="state" />;
  const wrong = (summary.sources ?? []).filter((s) => s.error);
  return (
    <span class="state">
      <span class={`light ${lost || wrong.length > 0 ? 'bad' : paused ? '' : 'on'}`} />
      <span title={`${bytes(summary.bytes)} of ${bytes(summary.max_bytes)}`}>
        {plural(summary.traces, 'trace')}
        <span class="wide">, {plural(summary.spans, 'span')}</span>
      </span>
      {summary.evicted_traces > 0 && <span title="the oldest make room for new ones">{count(summary.evicted_traces)} gone</span>}
      {summary.rejected_spans > 0 && <span class="bad">{plural(summary.rejected_spans, 'span')} refused</span>}
      {wrong.length > 0 && (
        <span class="bad" title={wrong.map((s) => `${line(s.name, 100)}: ${line(s.error ?? '', 300)}`).join('\n')}>
          {plural(wrong.length, 'source')} with errors
        </span>
      )}
    </span>
  );
}

function Empty({ summary }: { summary: Summary }) {
  const sources = summary.sources ?? [];
  const { grpc, http } = summary.receivers;
  const endpoints = [grpc && `# gRPC\nOTEL_EXPORTER_OTLP_ENDPOINT=http://${grpc}`, http && `# HTTP\nOTEL_EXPORTER_OTLP_ENDPOINT=${http}`].filter(Boolean);
  return (
    <section class="empty">
      <h2>No spans yet</h2>
      {endpoints.length > 0 && (
        <>
          <p>Send some by OTLP, and they are here at once. A service that is configured by variables needs one of these:</p>
          <pre tabIndex={0} role="group" aria-label="Endpoints">
            {endpoints.join('\n')}
          </pre>
        </>
      )}
      {sources.length > 0 && (
        <>
          <p>What is read:</p>
          <ul>
            {sources.map((s) => (
              <li key={s.name}>
                <code>{line(s.name, 200)}</code>
                {s.error ? <span class="bad"> {line(s.error, 500)}</span> : <span class="dim"> {plural(s.spans, 'span')}</span>}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Help({ dialog }: { dialog: { current: HTMLDialogElement | null } }) {
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
      <div class="inside">
        <h2 id="help-title">Keys</h2>
        <table>
          <tbody>
            {help.map(([keys, what]) => (
              <tr key={what}>
                <th scope="row">
                  {keys.map((k) => (
                    <kbd key={k}>{k}</kbd>
                  ))}
                </th>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p class="dim">
          Made with Preact, under its <a href="preact.LICENSE.txt">licence</a>.
        </p>
        <form method="dialog">
          <button type="submit" class="primary">
            Close
          </button>
        </form>
      </div>
    </dialog>
  );
}

function focusMain(e?: Event) {
  e?.preventDefault();
  document.getElementById('main')?.focus();
}

interface Actions {
  pause: () => void;
  theme: () => void;
  help: () => void;
}

function key(e: KeyboardEvent, route: Route, actions: Actions): boolean {
  switch (e.key) {
    case '/':
      if (!focusSearch()) {
        searchWanted = true;
        go(href('/search'));
      }
      return true;
    case 'j':
    case 'ArrowDown':
      return route.view !== 'trace' && moveItem(1);
    case 'k':
    case 'ArrowUp':
      return route.view !== 'trace' && moveItem(-1);
    case 'Escape':
      if (route.view === 'trace') return false; // it has its own
      history.back();
      return true;
    case 'c':
      document.getElementById('copy-id')?.click();
      return true;
    case 'p':
      actions.pause();
      return true;
    case 't':
      actions.theme();
      return true;
    case '?':
      actions.help();
      return true;
  }
  return false;
}

let searchWanted = false;

function focusSearch() {
  const field = document.getElementById('f-q');
  field?.focus();
  return field !== null;
}

// useArrival tells that another state is there: by the title, by where the page is
// scrolled to, and by the focus, if what had it is gone.
function useArrival(route: Route, ready: boolean) {
  const view = useRef('');
  useLayoutEffect(() => {
    if (!ready) return;
    document.title = (route.view === 'trace' ? `Trace ${route.trace.slice(0, 8)}` : titles[route.view]) + ' · riffle';
    if (route.view !== 'trace') listShown(route.hash);
    const other = view.current !== '' && view.current !== route.view + route.trace;
    view.current = route.view + route.trace;
    if (!restore(route.hash) && other) scrollTo(0, 0);
    if (searchWanted && focusSearch()) searchWanted = false;
  }, [route.hash, ready]);
  useEffect(() => {
    if (!ready || document.activeElement !== document.body) return;
    document.querySelector<HTMLElement>(route.view === 'trace' ? 'main' : 'main h1')?.focus({ preventScroll: true });
  }, [route.view, route.trace, ready]);
}

const root = document.getElementById('app');
if (root) render(<App />, root);
