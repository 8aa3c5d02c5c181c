import { writeFile } from 'node:fs/promises';
import type { Benchmark } from '../bench/benchmark.ts';
import { benchmarks } from '../bench/benchmarks.ts';
import type { Figure } from '../bench/figure.ts';
import { AppError } from '../errors.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

/** `rolecall bench`: this program beside its peers, on this machine. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('bench')
    .description(
      `measure this program beside its peers; needs root and the peers' packages (npm run bench installs them)\n${benchmarks
        .map(({ name, about }) => `  ${name.padEnd(6)}  ${about}`)
        .join('\n')}`,
    )
    .argument('[what...]', `${benchmarks.map((b) => b.name).join(', ')}; all by default`)
    .option('--output <file>', 'write the figures as JSON to a file too')
    .option('--pictures <dir>', 'draw where the seconds go (SVG): boot')
    .option('--rounds <count>', 'how often each kind boots alone: boot')
    .action(async (what: string[], options: BenchOptions) => {
      const { output, pictures } = options;
      const rounds = readRounds(options.rounds);
      const place = {
        state: globals().state,
        ...(pictures === undefined ? {} : { pictures }),
        ...(rounds === undefined ? {} : { rounds }),
      };
      const chosen = choose(what);
      const figures: Figure[] = [];
      for (const benchmark of chosen) {
        const started = performance.now();
        const seconds = () => ((performance.now() - started) / 1000).toFixed(1).padStart(6);
        tell(`${benchmark.name}: ${benchmark.about}`);
        figures.push(...(await benchmark.run((line) => tell(`${seconds()} s  ${line}`), place)));
      }
      const json = JSON.stringify(figures, null, 2);
      if (output !== undefined) await writeFile(output, `${json}\n`);
      say(globals().json ? json : renderFigures(figures));
    });
};

interface BenchOptions {
  readonly output?: string;
  readonly pictures?: string;
  readonly rounds?: string;
}

function readRounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new AppError('usage', `--rounds ${text} is no count`, '--rounds 3');
}

/** Progress goes to standard error: standard output is for the figures. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function choose(what: readonly string[]): readonly Benchmark[] {
  const unknown = what.filter((name) => !benchmarks.some((b) => b.name === name));
  if (unknown.length > 0) {
    throw new AppError(
      'usage',
      `there is no benchmark ${unknown.join(', ')}`,
      `rolecall bench ${benchmarks.map((b) => b.name).join(' | ')}`,
    );
  }
  return benchmarks.filter((b) => what.length === 0 || what.includes(b.name));
}

function renderFigures(figures: readonly Figure[]): string {
  return renderTable(
    ['what', 'ours', 'peer', 'unit', 'ratio', 'beside', 'bound by'],
    figures.map((f) => [
      f.what,
      String(f.ours),
      f.peerName === '' ? '-' : String(f.peer),
      f.unit,
      f.ratio === 0 ? '-' : `${f.ratio.toFixed(2)} x`,
      f.peerName || '-',
      f.bound,
    ]),
  );
}
