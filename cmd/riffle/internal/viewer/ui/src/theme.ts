// Light or dark: what the system says, unless somebody chose.
import { useState } from 'preact/hooks';

type Theme = 'light' | 'dark';
const key = 'riffle.theme';

function chosen(): Theme | null {
  try {
    const theme = localStorage.getItem(key);
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null; // storage can be switched off
  }
}

function apply(theme: Theme | null) {
  if (theme) document.documentElement.dataset.theme = theme;
}

apply(chosen());

export function useTheme(): [theme: Theme, toggle: () => void] {
  const [theme, set] = useState<Theme>(() => chosen() ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  const toggle = () => {
    const next = theme === 'dark' ? 'light' : 'dark';
    apply(next);
    set(next);
    try {
      localStorage.setItem(key, next);
    } catch {
      // Then it lasts as long as the page.
    }
  };
  return [theme, toggle];
}
