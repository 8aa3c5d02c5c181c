import { defineConfig } from 'vitest/config';

/**
 * Files of one machine at a time, or that mostly wait: each leaves the second of two cores to another one.
 * network.test.ts is none of them, as it counts the machine's namespaces.
 */
const light = [
  ...[
    'arm64',
    'boot-server-guest',
    'faults',
    'follow',
    'http-boot',
    'lab-command',
    'rack',
    'roles',
  ],
  ...['build-reproducible', 'extended-image', 'layers', 'probe'],
].map((name) => `test/lab/${name}.test.ts`);

/** The same of those that take longer: images of their own, stores, packets; one guest at most. */
const lightAndLong = [
  ...['build-faults', 'build-packages', 'store-faults', 'dhcp-flood', 'fuzz'],
  ...['image-test-of-a-spare', 'writing-a-role'],
].map((name) => `test/long/${name}.test.ts`);

export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{unit,golden,captures,contract,property,interop}/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          // Most of a file's time is waiting for other programs or loading the same sources once more; the
          // sources keep nothing between calls, so files may share them.
          maxWorkers: 3,
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'lab-light',
          include: light,
          testTimeout: 600_000,
          hookTimeout: 900_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      // Guests share two cores: these run one after the other, so that one boot does not slow another.
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          exclude: light,
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'long-light',
          include: lightAndLong,
          testTimeout: 3_600_000,
          hookTimeout: 900_000,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          exclude: lightAndLong,
          testTimeout: 3_600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
});
