// When traces were and how long they took: a point for each, and how many.
import { useMemo, useState } from 'preact/hooks';
import type { Histogram, Point, Results } from './api';
import { count, duration, goDuration, plural, time } from './format';
import { useWidth } from './live';
import { changed, go, href, traceHref } from './route';

const height = 168;
const margin = { top: 8, right: 10, bottom: 22, left: 58 };

export function Charts({ results, query }: { results: Results; query: URLSearchParams }) {
  const points = results.points ?? [];
  if (points.length === 0) return null;
  return (
    <div class="charts">
      <Scatter points={points} matched={results.traces_matched} />
      {results.histogram && <Bars histogram={results.histogram} query={query} />}
    </div>
  );
}

// scale maps the logarithm of a duration to pixels from the bottom.
function logScale(low: number, high: number) {
  const from = Math.floor(Math.log10(Math.max(low, 0.1)));
  const to = Math.max(Math.ceil(Math.log10(Math.max(high, 1))), from + 1);
  const room = height - margin.top - margin.bottom;
  const y = (us: number) => height - margin.bottom - (room * (Math.log10(Math.max(us, 10 ** from)) - from)) / (to - from);
  const step = Math.max(1, Math.ceil((to - from) / 5));
  const ticks = [];
  for (let e = from; e <= to; e += step) ticks.push(10 ** e);
  return { y, ticks };
}

function Scatter({ points, matched }: { points: Point[]; matched: number }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [over, setOver] = useState(-1);

  const drawn = useMemo(() => {
    let [from, to, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [t, d] of points) {
      from = Math.min(from, t);
      to = Math.max(to, t);
      low = Math.min(low, d);
      high = Math.max(high, d);
    }
    const room = Math.max(width - margin.left - margin.right, 1);
    const { y, ticks } = logScale(low, high);
    const at = points.map(([t, d]) => [margin.left + (to > from ? (room * (t - from)) / (to - from) : room / 2), y(d)]);
    let [fine, failed] = ['', ''];
    points.forEach(([, , error], i) => {
      const [px, py] = [at[i][0].toFixed(1), at[i][1].toFixed(1)];
      if (error) failed += `M${px} ${py}m0-4.5l4.5 4.5-4.5 4.5-4.5-4.5z`;
      else fine += `M${px} ${py}m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0`;
    });
    return { at, fine, failed, y, ticks, from, to };
  }, [points, width]);

  const nearest = (e: { offsetX: number; offsetY: number }) => {
    let [best, found] = [20 * 20, -1];
    drawn.at.forEach(([x, y], i) => {
      const distance = (x - e.offsetX) ** 2 + (y - e.offsetY) ** 2;
      if (distance < best) [best, found] = [distance, i];
    });
    return found;
  };
  const point = over >= 0 && over < points.length ? points[over] : null;
  const errors = points.filter((p) => p[2]).length;

  return (
    <figure class="chart scatter">
      <figcaption>
        Duration by time
        <span class="legend">
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <circle class="fine" cx="5" cy="5" r="3" />
          </svg>
          fine
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <path class="failed" d="M5 .5 9.5 5 5 9.5.5 5Z" />
          </svg>
          with errors
        </span>
        <span class="tip">
          {point ? `${duration(point[1])} at ${time(point[0])}${point[2] ? ', with errors' : ''}` : matched > points.length ? `${count(points.length)} of ${count(matched)}` : ''}
        </span>
      </figcaption>
      <div ref={ref} class="plot">
        {width > 0 && (
          <svg
            width={width}
            height={height}
            role="img"
            aria-label={`${plural(points.length, 'trace')} by time and duration, ${errors} with errors; the list below has them`}
            class={point ? 'over' : ''}
            onPointerMove={(e) => setOver(nearest(e))}
            onPointerLeave={() => setOver(-1)}
            onClick={(e) => {
              const i = nearest(e);
              if (i >= 0) go(traceHref(points[i][3]));
            }}
          >
            <Ticks y={drawn.y} ticks={drawn.ticks} width={width} text={duration} />
            <text x={margin.left} y={height - 5}>
              {time(drawn.from)}
            </text>
            {drawn.to > drawn.from && (
              <text x={width - margin.right} y={height - 5} text-anchor="end">
                {time(drawn.to)}
              </text>
            )}
            <path class="fine" d={drawn.fine} />
            <path class="failed" d={drawn.failed} />
            {point && <circle class="ring" cx={drawn.at[over][0]} cy={drawn.at[over][1]} r="7" />}
          </svg>
        )}
      </div>
    </figure>
  );
}

function Ticks(props: { y: (v: number) => number; ticks: number[]; width: number; text: (v: number) => string }) {
  return (
    <g>
      {props.ticks.map((t) => (
        <g key={t}>
          <line x1={margin.left} x2={props.width - margin.right} y1={props.y(t)} y2={props.y(t)} />
          <text x={margin.left - 6} y={props.y(t) + 4} text-anchor="end">
            {props.text(t)}
          </text>
        </g>
      ))}
    </g>
  );
}

// Bars has a bar for each bucket, in which the errors are hatched. A click searches for
// what is in it.
function Bars({ histogram, query }: { histogram: Histogram; query: URLSearchParams }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [over, setOver] = useState(-1);
  const edges = histogram.edges ?? [];
  const weights = histogram.weights ?? [];
  const errors = histogram.errors ?? [];
  const total = weights.reduce((sum, w) => sum + w, 0);
  if (weights.length === 0 || total <= 0) return null;

  const most = Math.max(...weights);
  const room = height - margin.top - margin.bottom;
  const y = (w: number) => height - margin.bottom - (room * w) / most;
  const step = Math.max(width - margin.left - margin.right, 1) / weights.length;
  const range = (i: number) => (i === 0 ? `below ${duration(edges[0])}` : i === edges.length ? `${duration(edges[i - 1])} and more` : `${duration(edges[i - 1])} to ${duration(edges[i])}`);
  const search = (i: number) =>
    go(href('/search', changed(query, { trace_min: i > 0 ? goDuration(edges[i - 1]) : '', trace_below: i < edges.length ? goDuration(edges[i]) : '' })));
  // As many edges are told as there is room for.
  const every = Math.max(1, Math.ceil(62 / step));

  return (
    <figure class="chart bars">
      <figcaption>
        Traces by duration
        <span class="tip">{over >= 0 && over < weights.length ? `${range(over)}: ${count(weights[over])}${errors[over] ? `, ${count(errors[over])} with errors` : ''}` : 'by weight'}</span>
      </figcaption>
      <div ref={ref} class="plot">
        {width > 0 && (
          <svg width={width} height={height} role="img" aria-label={`How many traces took how long: ${weights.map((w, i) => (w > 0 ? `${range(i)} ${count(w)}` : '')).filter(Boolean).join(', ')}`} onPointerLeave={() => setOver(-1)}>
            <defs>
              <pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <rect class="failed" width="2.6" height="4" />
              </pattern>
            </defs>
            <Ticks y={y} ticks={[0, most / 2, most]} width={width} text={count} />
            {weights.map((w, i) => {
              const x = margin.left + i * step;
              const failed = Math.min(errors[i] ?? 0, w);
              return (
                <g key={i} class={i === over ? 'over' : ''} onPointerMove={() => setOver(i)} onClick={() => edges.length > 0 && search(i)}>
                  <rect class="area" x={x} y={margin.top} width={step} height={room} />
                  <rect class="fine" x={x + 1} width={Math.max(step - 2, 1)} y={y(w)} height={y(0) - y(w)} />
                  {failed > 0 && <rect class="back" x={x + 1} width={Math.max(step - 2, 1)} y={y(failed)} height={y(0) - y(failed)} />}
                  {failed > 0 && <rect fill="url(#hatch)" x={x + 1} width={Math.max(step - 2, 1)} y={y(failed)} height={y(0) - y(failed)} />}
                </g>
              );
            })}
            {edges.map((e, i) =>
              i % every === 0 ? (
                <text key={e} x={margin.left + (i + 1) * step} y={height - 5} text-anchor="middle">
                  {duration(e)}
                </text>
              ) : null,
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}
