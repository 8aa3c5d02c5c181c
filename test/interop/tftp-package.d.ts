/** What the tests use of the untyped `tftp` package. */
declare module 'tftp' {
  interface Client {
    get(remote: string, local: string, done: (error?: Error) => void): void;
  }
  interface ClientOptions {
    readonly host: string;
    readonly port: number;
    readonly windowSize: number;
    /** Milliseconds. */
    readonly timeout: number;
    readonly retries: number;
  }
  const tftp: { createClient(options: ClientOptions): Client };
  export default tftp;
}
