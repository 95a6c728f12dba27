// The state of the page is its URL, after the #.
import { useEffect, useState } from 'preact/hooks';

export type View = 'findings' | 'search' | 'operations' | 'trace' | 'unknown';

export interface Route {
  hash: string;
  view: View;
  trace: string;
  span: string;
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const text = hash.replace(/^#/, '') || '/';
  const cut = text.indexOf('?');
  const path = cut < 0 ? text : text.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? '' : text.slice(cut + 1));
  const parts = path.split('/').filter(Boolean);
  const route: Route = { hash: '#' + text, view: 'unknown', trace: '', span: '', query };
  if (parts.length === 0) route.view = 'findings';
  else if (parts.length === 1 && parts[0] === 'search') route.view = 'search';
  else if (parts.length === 1 && parts[0] === 'operations') route.view = 'operations';
  else if ((parts.length === 2 || parts.length === 3) && parts[0] === 'trace' && parts.slice(1).every((id) => /^[0-9a-f]{1,32}$/.test(id))) {
    route.view = 'trace';
    route.trace = parts[1];
    route.span = parts[2] ?? '';
  }
  return route;
}

type Query = URLSearchParams | Record<string, string>;

// href is the URL of a view.
export function href(path: string, query?: Query): string {
  const params = query instanceof URLSearchParams ? query : new URLSearchParams(query ?? {});
  const text = params.toString();
  return '#' + path + (text ? '?' + text : '');
}

// changed is a query with other values; an empty one is left out.
export function changed(query: URLSearchParams, values: Record<string, string>): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(values)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  return next;
}

export function traceHref(trace: string, span = '', query?: Query): string {
  return href('/trace/' + encodeURIComponent(trace) + (span ? '/' + encodeURIComponent(span) : ''), query);
}

const moved = 'riffle:moved';

// go shows another state. One that replaces the last is not worth a step back.
export function go(hash: string, replace = false) {
  if (hash === (location.hash || '#/')) return;
  if (replace) {
    history.replaceState(null, '', hash);
    dispatchEvent(new Event(moved));
  } else {
    location.hash = hash;
  }
}

// Where the page was scrolled to, and what had the focus, by URL.
const places = new Map<string, { top: number; item: string | null }>();

export function useRoute(): Route {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    history.scrollRestoration = 'manual';
    let at = parse(location.hash).hash;
    let top = scrollY;
    // The browser may scroll before it tells that the URL has changed.
    const scrolled = () => {
      if (parse(location.hash).hash === at) top = scrollY;
    };
    const change = () => {
      const next = parse(location.hash);
      if (next.hash === at) return;
      const focus = document.activeElement;
      places.set(at, { top, item: focus?.hasAttribute('data-item') ? focus.getAttribute('href') : null });
      at = next.hash;
      top = 0;
      set(next);
    };
    addEventListener('scroll', scrolled, { passive: true });
    addEventListener('hashchange', change);
    addEventListener(moved, change);
    return () => {
      removeEventListener('scroll', scrolled);
      removeEventListener('hashchange', change);
      removeEventListener(moved, change);
    };
  }, []);
  return route;
}

// restore scrolls to where a URL was left, if it was, and gives the focus back.
export function restore(hash: string): boolean {
  const place = places.get(hash);
  if (!place) return false;
  scrollTo(0, place.top);
  for (const item of place.item === null ? [] : document.querySelectorAll<HTMLElement>('[data-item]')) {
    if (item.getAttribute('href') !== place.item) continue;
    item.focus({ preventScroll: true });
    break;
  }
  return true;
}

// lastList is the list that a trace was opened from.
let lastList = '#/';

export function listShown(hash: string) {
  lastList = hash;
}

export function backToList() {
  go(lastList);
}
