/** A switch port as the relay names it in option 82 (RFC 3046): text, or hexadecimal digits where it is none. */
export interface SwitchPort {
  /** The circuit id: which port of the switch. */
  readonly circuit: string;
  /** The remote id: which switch, where the relay says it. */
  readonly remote?: string;
}

/** What to write behind `port:` in a role file: `remote/circuit`, or the circuit id where that is all. */
export function formatPort({ remote, circuit }: SwitchPort): string {
  return remote === undefined ? circuit : `${remote}/${circuit}`;
}

/** Whether `port:` of a role file means this port: by its circuit id alone, or with the switch before it. */
export function meansPort(written: string, port: SwitchPort): boolean {
  // Hexadecimal digits may be typed in capitals.
  const lower = written.toLowerCase();
  return lower === port.circuit.toLowerCase() || lower === formatPort(port).toLowerCase();
}
