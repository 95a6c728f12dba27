// Keys: those of the page, and of a view, which come first.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

export const help: [keys: string[], what: string][] = [
  [['/'], 'search'],
  [['j', 'k', '↓', '↑'], 'next and previous row or span'],
  [['Enter'], 'open'],
  [['Esc'], 'close, or back to the list'],
  [['←', '→'], 'collapse and expand a span'],
  [['Home', 'End'], 'first and last span'],
  [['e', 'E'], 'next and previous failed span'],
  [['f', 'F'], 'next and previous span with a finding'],
  [['z', '0'], 'zoom to the span, and to all of the trace'],
  [['c'], 'copy the trace ID'],
  [['p'], 'pause and go on'],
  [['t'], 'light and dark'],
  [['?'], 'this help'],
];

function typing(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

// useKeydown calls what was given last for each key that is no text, unless a dialog is
// open. What returns true has used it up.
export function useKeydown(handle: (e: KeyboardEvent) => boolean) {
  const latest = useRef(handle);
  latest.current = handle;
  // Whoever sees a view may press a key.
  useLayoutEffect(() => {
    const down = (e: KeyboardEvent) => {
      if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || typing(e) || document.querySelector('dialog[open]')) return;
      if (latest.current(e)) e.preventDefault();
    };
    addEventListener('keydown', down);
    return () => removeEventListener('keydown', down);
  }, []);
}

// useLeavingFields lets Escape leave a field, so that the other keys work again.
export function useLeavingFields() {
  useEffect(() => {
    const down = (e: KeyboardEvent) => {
      if (e.key === 'Escape' && typing(e)) (e.target as HTMLElement).blur();
    };
    addEventListener('keydown', down);
    return () => removeEventListener('keydown', down);
  }, []);
}

// moveItem gives the focus to the next row of a list, or to the one before.
export function moveItem(by: 1 | -1): boolean {
  const items = [...document.querySelectorAll<HTMLElement>('main [data-item]')];
  if (items.length === 0) return false;
  const at = items.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + by, 0), items.length - 1);
  items[next].focus();
  items[next].scrollIntoView({ block: 'nearest' });
  return true;
}
