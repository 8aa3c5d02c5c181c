/** One thing wrong in what an operator wrote. `line` counts from 1; 0 where no line applies. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  /** Dotted path inside the file, such as `links.boot.address`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  /** What to type next. */
  readonly hint: string;
}

/** A value, or every problem that stood in its way. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** An expected failure that reached its edge: one sentence of what, one hint of what to do. */
export class AppError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint = '', options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.hint = hint;
  }
}
