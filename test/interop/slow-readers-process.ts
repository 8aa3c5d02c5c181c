import { connect } from 'node:net';

// Opens connections that ask for a file, each from another place on, and read a byte a second:
// `node slow-readers-process.ts ADDRESS PATH SIZE COUNT`. Says when all of them have asked.
const [address = '', path = '', size, count] = process.argv.slice(2);
const sockets = Array.from({ length: Number(count) }, (_, n) => {
  const socket = connect(80, address);
  const offset = Math.floor((n * Number(size)) / Number(count) / 2);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nRange: bytes=${offset}-\r\n\r\n`);
  // Node takes what has come in pieces of 64 KiB; one byte of that is used.
  return socket.pause();
});
setInterval(() => {
  for (const socket of sockets) socket.read(1);
}, 1000);
setTimeout(() => {
  const open = sockets.filter((socket) => socket.readyState === 'open').length;
  process.stdout.write(`reading: ${open}\n`);
}, 3000);
