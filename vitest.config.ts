import { defineConfig } from 'vitest/config';

// Guests share two cores: lab files run one after the other, so that one boot does not slow another.
export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    fileParallelism: false,
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{unit,golden,captures,contract,property,interop}/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
