/**
 * A secret that all nodes of a site share that want it under one name, as a boot set asks for it: where
 * it lies on the node, never what it is.
 */
export interface SharedSecret {
  /** A private key with its certificate. */
  readonly kind: 'certificate';
  /** Its name in the state folder. */
  readonly name: string;
  /** Host names that the certificate is for, at least one, where the server makes it. */
  readonly hosts: readonly string[];
  /** Absolute path on the node. */
  readonly path: string;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Whether this can be the name of a host in a certificate (RFC 1123 section 2.1). */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})+$/.test(text);
}
