import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createAdminApp } from '../../src/http/admin-app.ts';
import { type HttpServer, startHttp } from '../../src/http/start-http.ts';
import { sampleNode, sampleService, sampleSpare } from '../unit/http/sample-nodes.ts';

const sample = sampleService();
let server: HttpServer;
let browser: Browser;

beforeAll(async () => {
  server = await startHttp(createAdminApp(sample.service), { host: '127.0.0.1', port: 0 });
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

beforeEach(() => {
  sample.held.nodes = [sampleNode('web1', 21, 'ready'), sampleNode('web2', 22, 'dhcp')];
  sample.held.problem = undefined;
});

/** The console in a browser that notes every error, dialog and request to anywhere else. */
async function openPage(options: { readonly javaScriptEnabled?: boolean } = {}) {
  const context = await browser.newContext(options);
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const bad: string[] = [];
  const home = `http://127.0.0.1:${server.port}/`;
  page.on('pageerror', (error) => bad.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') bad.push(message.text());
  });
  page.on('dialog', (dialog) => {
    bad.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(home) && !url.startsWith('data:')) bad.push(`request to ${url}`);
  });
  await page.goto(home);
  return { page, bad };
}

const stageOf = (page: Page, name: string) =>
  page.locator(`#node-${name} .word`).textContent({ timeout: 5000 });

/** The page says so once it holds what the server said. */
const isLive = (page: Page, timeout = 5000) =>
  page.locator('#link', { hasText: /^live$/ }).waitFor({ timeout });

test('a change is seen without a reload, and nothing else is touched', async () => {
  const { page, bad } = await openPage();
  await isLive(page);
  expect(await stageOf(page, 'web2')).toBe('dhcp');
  await page.evaluate('document.getElementById("node-web1").mark = "same element"');

  sample.held.nodes = [sampleNode('web1', 21, 'ready'), sampleNode('web2', 22, 'root')];
  sample.change({ kind: 'site' });
  // Sooner than the ten seconds after which the page looks by itself.
  await page.locator('#node-web2 .word', { hasText: 'root' }).waitFor({ timeout: 5000 });
  const bar = page.getByRole('img', { name: 'root, step 5 of 7' });
  expect(await bar.count()).toBe(1);
  expect(await page.evaluate('document.getElementById("node-web1").mark')).toBe('same element');

  sample.held.nodes = [...sample.held.nodes, sampleNode('web3', 23, 'failed'), sampleSpare(51)];
  sample.change({ kind: 'site' });
  await page.locator('#node-web3').waitFor({ timeout: 5000 });
  expect(await page.locator('#counts').textContent()).toMatch(/1\s+failed/);
  expect(await page.locator('.card code').last().textContent()).toContain(
    '--mac 52:54:00:00:00:33',
  );
  expect(bad).toEqual([]);
});

test('a site on disk that is not served is loud, until it is repaired', async () => {
  const { page } = await openPage();
  await isLive(page);
  expect(await page.getByRole('alert').count()).toBe(0);
  const broken = { file: 'nodes/web2.yaml', line: 3, path: 'role', message: 'no', hint: 'web?' };
  sample.held.problem = { message: 'One problem.', problems: [broken] };
  sample.change({ kind: 'site' });
  await page.getByRole('alert').waitFor({ timeout: 5000 });
  expect(await page.getByRole('alert').textContent()).toContain('nodes/web2.yaml:3:role');
  sample.held.problem = undefined;
  sample.change({ kind: 'site' });
  await page.getByRole('alert').waitFor({ state: 'detached', timeout: 5000 });
});

test('what a node reports is text, whatever it holds', async () => {
  const evil = '<script>alert(1)</script><img src=x onerror=alert(2)>';
  const { page, bad } = await openPage();
  await isLive(page);
  sample.held.nodes = [sampleNode('web1', 21, 'failed', { reason: evil, address: evil })];
  sample.change({ kind: 'site' });
  await page.locator('#node-web1 .reason').waitFor({ timeout: 5000 });
  expect(await page.locator('#node-web1 .reason').textContent()).toBe(evil);
  await page.reload();
  expect(await page.locator('#node-web1 .reason').textContent()).toBe(evil);
  expect(await page.locator('#live script, #live img').count()).toBe(0);
  expect(bad).toEqual([]);
});

test('a server that is gone is said, and found again', async () => {
  const own = await startHttp(createAdminApp(sample.service), { host: '127.0.0.1', port: 0 });
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${own.port}/`);
  await isLive(page);
  await own.stop();
  await page.locator('#link.lost').waitFor({ timeout: 5000 });
  const again = await startHttp(createAdminApp(sample.service), {
    host: '127.0.0.1',
    port: own.port,
  });
  onTestFinished(() => again.stop());
  await isLive(page, 15_000);
});

test('the filter shows only nodes that match every word', async () => {
  sample.held.nodes = [
    sampleNode('web1', 21, 'ready'),
    sampleNode('web2', 22, 'failed'),
    sampleNode('mail1', 31, 'ready', { role: ['mail'] }),
  ];
  const { page } = await openPage();
  const shown = async (words: string) => {
    await page.getByRole('searchbox').fill(words);
    return page.locator('#rows tr:visible .name').allTextContents();
  };
  expect(await shown('ready')).toEqual(['mail1', 'web1']);
  expect(await shown('READY web')).toEqual(['web1']);
  expect(await shown('10.77.0.31')).toEqual(['mail1']);
  expect(await shown('nobody')).toEqual([]);
  expect(await page.getByText('No node matches.').isVisible()).toBe(true);
  expect(await shown('')).toHaveLength(3);
});

test('without scripts it is a table that comes anew by itself', async () => {
  const { page, bad } = await openPage({ javaScriptEnabled: false });
  expect(await page.locator('#rows tr').count()).toBe(2);
  expect(await page.getByRole('searchbox').isVisible()).toBe(false);
  expect(await page.locator('noscript').innerHTML()).toContain('http-equiv="refresh"');
  expect(bad).toEqual([]);
});

test.each([
  ['a wide screen', 1400],
  ['a phone', 390],
])('nothing sticks out on %s', async (_name, width) => {
  sample.held.nodes = [
    sampleNode('a-node-with-quite-a-long-name', 21, 'failed', { reason: 'x'.repeat(400) }),
    ...Array.from({ length: 40 }, (_, i) => sampleNode(`web${i}`, 30 + i, 'ready')),
    sampleSpare(51),
  ];
  const { page } = await openPage();
  await page.setViewportSize({ width, height: 800 });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
});
