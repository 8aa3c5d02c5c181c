import { describeStep } from '../images/describe-step.ts';
import type { BuildEvent } from '../images/execute-build.ts';

/** Shows a build to an operator. */
export interface BuildProgress {
  show(event: BuildEvent): void;
  /** Takes the unfinished line away. */
  end(): void;
}

/** The step that is under way. */
interface Status {
  readonly head: string;
  readonly since: number;
  text: string;
  /** Between 0 and 1. */
  done: number;
}

/** What is left of a step of which that part took so many seconds; empty while a guess would be none. */
function timeLeft(done: number, seconds: number): string {
  if (done < 0.1 || seconds < 5) return '';
  return `, some ${Math.max(1, Math.round((seconds * (1 - done)) / done))} s left`;
}

/** One line that is rewritten on a terminal; one line at a step's start and end elsewhere. */
export function createBuildProgress(
  output: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown },
  now: () => number,
): BuildProgress {
  const terminal = output.isTTY === true;
  let status: Status | undefined;
  let timer: NodeJS.Timeout | undefined;
  let told = '';
  const redraw = () => {
    if (!status) return;
    const seconds = Math.floor((now() - status.since) / 1000);
    const line = `${status.head} ${seconds} s${status.text}${timeLeft(status.done, seconds)}`;
    output.write(`\r\x1b[K${line.slice(0, (output.columns ?? 80) - 1)}`);
  };
  const end = () => {
    clearInterval(timer);
    timer = undefined;
    if (status && terminal) output.write('\r\x1b[K');
    status = undefined;
  };
  return {
    end,
    show: (event) => {
      if (event.kind === 'warning') {
        if (terminal) output.write('\r\x1b[K');
        output.write(`warning: ${event.text}\n`);
        return;
      }
      if (event.kind === 'resolving' || event.kind === 'fetching') {
        const text = event.kind === 'resolving' ? event.text : fetched(event);
        if (terminal) output.write(`\r\x1b[K${text.slice(0, (output.columns ?? 80) - 1)}`);
        else if (text !== told) output.write(`${text}\n`);
        told = text;
        return;
      }
      const head = `[${event.index}/${event.of}] ${describeStep(event.step)}`;
      switch (event.kind) {
        case 'step-started':
          status = { head, text: '', since: now(), done: 0 };
          if (terminal) {
            redraw();
            timer ??= setInterval(redraw, 1000);
          } else output.write(`${head}\n`);
          return;
        case 'step-progress': {
          const percent = event.done === undefined ? '' : ` ${Math.round(event.done * 100)} %`;
          if (status) {
            status.text = `${percent} ${event.text}`;
            status.done = event.done ?? 0;
          }
          if (terminal) redraw();
          else output.write(`${head}:${percent} ${event.text}\n`);
          return;
        }
        case 'step-kept':
          output.write(`${head}: unchanged\n`);
          return;
        case 'step-done':
          end();
          output.write(`${head}: done in ${event.seconds.toFixed(1)} s\n`);
      }
    },
  };
}

/** A line for each tenth, so that the log of a CI stays short. */
function fetched({ bytes, of }: { readonly bytes: number; readonly of: number }): string {
  const percent = of === 0 ? 100 : Math.floor((10 * bytes) / of) * 10;
  return `fetching packages: ${percent} % of ${(of / 1e6).toFixed(1)} MB`;
}
