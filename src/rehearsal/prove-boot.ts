import { type Run, since, tell, waitReady } from './run.ts';

/**
 * Proves that a node boots and is ready, and resets it once where it stops on the way; empty, or why it is not
 * ready.
 */
export async function proveBoot(run: Run, node: string, roles: readonly string[]): Promise<string> {
  const title = `${node} boots and is ready as ${roles.join(', ')}`;
  const told = { group: 'node', title } as const;
  let reason = await waitReady(run, node, run.start);
  let again = '';
  if (reason.startsWith('it stopped')) {
    // Under emulation a kernel has died in its first seconds; a machine in a rack would be reset, too.
    again = `, at the second try: ${reason}`;
    const reset = Date.now();
    run.marks.push({ at: reset, text: `${node} is reset: ${reason}` });
    await run.lab.reboot(node);
    reason = await waitReady(run, node, reset);
  }
  const seconds = since(run.start);
  tell(
    run,
    reason === ''
      ? { ...told, outcome: 'passed', seconds, detail: again.slice(2) }
      : { ...told, outcome: 'failed', seconds, detail: reason },
  );
  return reason;
}
