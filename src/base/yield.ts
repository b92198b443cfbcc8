/** Gives way to timers, signals and input: a promise alone would keep the event loop from them. */
export function nextTurn(): Promise<void> {
  const host = globalThis as { setImmediate?: (callback: () => void) => void };
  if (host.setImmediate) return new Promise((resolve) => host.setImmediate?.(resolve));
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(0);
  });
}
