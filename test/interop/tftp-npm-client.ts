import tftp from 'tftp';

// `node tftp-npm-client.ts HOST PORT WINDOW REMOTE LOCAL`: one download with the `tftp` package.
const [host = '', port, windowSize, remote = '', local = ''] = process.argv.slice(2);
const client = tftp.createClient({
  host,
  port: Number(port),
  windowSize: Number(windowSize),
  // Milliseconds: the package puts them into RFC 2349's option, which counts seconds.
  timeout: 500,
  retries: 20,
});
client.get(remote, local, (error) => {
  if (!error) return;
  console.error(error.message);
  process.exitCode = 1;
});
