import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    // A process per file: a test that kills, freezes or leaks can spoil no other.
    pool: 'forks',
    maxWorkers: 3,
    // Three at once, each with servers of its own, on few processors.
    testTimeout: 90_000,
    // Faults are real and machines are of uneven speed: what fails once is run once more, and reported as flaky.
    retry: 1,
    hookTimeout: 120_000,
  },
});
