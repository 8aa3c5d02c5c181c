import tftp from 'tftp';

/** The whole file by the package `tftp`, as an independent client; fails with what it says. */
export async function fetchTftp(host: string, file: string, port = 69): Promise<Buffer> {
  const client = tftp.createClient({
    ...{ host, port, windowSize: 4, blockSize: 1468, retries: 3 },
    // It writes milliseconds into an option that counts seconds (RFC 2349), which a server then leaves out.
    timeout: 3000,
  });
  const parts: Buffer[] = [];
  const stream = client.createGetStream(file);
  return await new Promise((resolve, reject) => {
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.once('error', reject);
    stream.once('end', () => resolve(Buffer.concat(parts)));
  });
}
