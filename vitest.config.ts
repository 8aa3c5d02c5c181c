import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'node_modules/**'],
    testTimeout: 20_000,
    // Guests share two cores: files run one after the other, so that one boot does not slow another.
    fileParallelism: false,
  },
});
