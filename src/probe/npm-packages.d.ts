/** What is used of the untyped package `tftp`. */
declare module 'tftp' {
  import type { Readable } from 'node:stream';

  interface Client {
    get(remote: string, local: string, done: (error?: Error) => void): void;
    createGetStream(remote: string): Readable;
  }
  interface ClientOptions {
    readonly host: string;
    readonly port: number;
    readonly windowSize: number;
    readonly blockSize?: number;
    /** Milliseconds. */
    readonly timeout: number;
    readonly retries: number;
  }
  const tftp: { createClient(options: ClientOptions): Client };
  export default tftp;
}

/** The codec of the untyped package `dhcp`. */
declare module 'dhcp/lib/protocol.js' {
  interface Message {
    readonly op: number;
    readonly xid: number;
    readonly yiaddr: string;
    readonly siaddr: string;
    readonly file: string;
    readonly options: Readonly<Record<number, unknown>>;
  }
  const protocol: { parse(bytes: Buffer): Message };
  export default protocol;
}
