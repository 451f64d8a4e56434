/** Resolves with the name of the first signal that asks for the end. A second one ends the process at once. */
export async function nextSignal(): Promise<string> {
  const signal = await new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  // Whoever asks twice does not want to wait.
  process.once('SIGTERM', () => process.exit(1));
  process.once('SIGINT', () => process.exit(1));
  return signal;
}
