import type { Database } from '../../../src/state/database.ts';

/** The database, and in `waits` each statement that waits for the disk: all that is not run by `write`. */
export function watchWaits(database: Database): { readonly watched: Database; waits: string[] } {
  let isWaiting = true;
  const waits: string[] = [];
  const write: Database['write'] = (work) => {
    isWaiting = false;
    try {
      return database.write(work);
    } finally {
      isWaiting = true;
    }
  };
  const run: Database['run'] = (sql, ...values) => {
    if (isWaiting) waits.push(sql);
    return database.run(sql, ...values);
  };
  return { watched: { ...database, run, write }, waits };
}
