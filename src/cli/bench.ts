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
    .action(async (what: string[], options: { output?: string }) => {
      const chosen = choose(what);
      const figures: Figure[] = [];
      for (const benchmark of chosen) {
        const started = performance.now();
        const seconds = () => ((performance.now() - started) / 1000).toFixed(1).padStart(6);
        tell(`${benchmark.name}: ${benchmark.about}`);
        figures.push(...(await benchmark.run((line) => tell(`${seconds()} s  ${line}`))));
      }
      const json = JSON.stringify(figures, null, 2);
      if (options.output !== undefined) await writeFile(options.output, `${json}\n`);
      say(globals().json ? json : renderFigures(figures));
    });
};

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
