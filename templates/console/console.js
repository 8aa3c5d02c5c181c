// Keeps the console live: on every change the server renders the part that changes, and only what differs is put in.
'use strict';

const live = document.getElementById('live');
const link = document.getElementById('link');
const filter = document.getElementById('filter');

/** What the server sent of each row and card, by id; ages run here by themselves. */
const shown = new Map();

function withoutAge(element) {
  return element.outerHTML.replace(/<span class="age">[^<]*<\/span>/g, '');
}

/** Puts in what differs. Rows and cards are known by their id, so a selection or focus elsewhere survives. */
function putIn(html) {
  const next = new DOMParser().parseFromString(html, 'text/html').body;
  if (!sameShape(live, next)) {
    live.replaceChildren(...next.childNodes);
  } else {
    for (const fresh of next.querySelectorAll('tr[id], article[id], #counts, #problem')) {
      const old = document.getElementById(fresh.id);
      const sent = withoutAge(fresh);
      if (shown.get(fresh.id) === sent) continue;
      shown.set(fresh.id, sent);
      old.replaceWith(fresh);
    }
  }
  dress();
}

/** Whether both hold the same rows and cards in the same order. */
function sameShape(a, b) {
  const ids = (root) => [...root.querySelectorAll('[id]')].map((e) => e.id).join(' ');
  return ids(a) === ids(b);
}

/** What only a browser with scripts has: ages that run, the filter, buttons that copy. */
function dress() {
  tick();
  sift();
  for (const button of live.querySelectorAll('.copy')) button.hidden = !navigator.clipboard;
}

function tick() {
  for (const time of live.querySelectorAll('time')) {
    const age = time.querySelector('.age');
    const text = describeAge(Date.now() + ahead - Date.parse(time.dateTime));
    if (age.textContent !== text) age.textContent = text;
  }
}

function describeAge(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function sift() {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let rows = 0;
  for (const element of live.querySelectorAll('[data-words]')) {
    element.hidden = !wanted.every((word) => element.dataset.words.includes(word));
    if (!element.hidden && element.tagName === 'TR') rows += 1;
  }
  const none = document.getElementById('no-match');
  if (none) none.hidden = rows > 0;
}

// The server's clock less this browser's, in milliseconds.
let ahead = 0;
let busy = false;
let again = false;
let timer;

/** Looks now, or once more after the look that is under way. */
async function look() {
  clearTimeout(timer);
  timer = setTimeout(look, 10_000);
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch('/console/live', { cache: 'no-store' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const date = Date.parse(answer.headers.get('Date') ?? '');
    // The header counts whole seconds; less than that is no difference worth showing.
    if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 1500) ahead = date - Date.now();
    putIn(await answer.text());
    say('live', false);
  } catch {
    say('server not reached', true);
  } finally {
    busy = false;
    if (again) {
      again = false;
      setTimeout(look, 150);
    }
  }
}

function say(text, lost) {
  if (link.textContent !== text) link.textContent = text;
  link.classList.toggle('lost', lost);
}

const changes = new EventSource('/api/v1/stream');
changes.addEventListener('open', look);
changes.addEventListener('event', look);
changes.addEventListener('site', look);
changes.addEventListener('state', look);
changes.addEventListener('error', () => say('server not reached', true));

filter.closest('label').hidden = false;
filter.addEventListener('input', sift);
live.addEventListener('click', async (click) => {
  const button = click.target.closest('.copy');
  if (!button) return;
  await navigator.clipboard.writeText(button.previousElementSibling.textContent);
  button.textContent = 'Copied';
});
setInterval(tick, 1000);
dress();
