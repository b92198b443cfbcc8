import { createServer, type Server } from 'node:http';

/**
 * Finds out early whether a port can be had: to load a model takes longer.
 *
 * @throws Error as `startServer` does
 */
export async function requireFreePort(host: string, port: number): Promise<void> {
  const probe = createServer();
  await listen(probe, host, port);
  await new Promise((resolve) => probe.close(resolve));
}

/**
 * Opens a port.
 *
 * @param flag of the command line by which another port can be chosen
 * @throws Error that says what to do where the port or the address cannot be had
 */
export async function listen(
  server: Server,
  host: string,
  port: number,
  flag = '--port',
): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw new Error(reason(error as NodeJS.ErrnoException, host, port, flag), { cause: error });
  }
}

function reason(
  { code, message }: NodeJS.ErrnoException,
  host: string,
  port: number,
  flag: string,
): string {
  switch (code) {
    case 'EADDRINUSE':
      return (
        `port ${port} is taken: another program listens at ${host}:${port}. Choose another port ` +
        `(${flag} ${port === 65535 ? port - 1 : port + 1}), or let one be chosen (${flag} 0)`
      );
    case 'EACCES':
      return `port ${port} needs special rights; choose one from 1024 (${flag} 8080)`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return (
        `host is ${JSON.stringify(host)}, which is no address of this machine; expected ` +
        '127.0.0.1 for this machine only, or 0.0.0.0 for all that can reach it'
      );
    default:
      return `cannot listen at ${host}:${port}: ${message}`;
  }
}
