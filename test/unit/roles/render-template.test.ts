import { describe, expect, test } from 'vitest';
import { renderTemplate } from '../../../src/roles/render-template.ts';

const context = { node: { name: 'web1', note: undefined }, list: ['a', 'b'] };

test.each([
  ['values as they are', `<%= "<&>'" %>`, `<&>'`],
  ['loops and slurped lines', '<%_ for (const x of list) { _%>\n<%= x %>\n<%_ } _%>\n', 'a\nb\n'],
  ['Math, without chance', '<%= Math.max(1, 2) %>', '2'],
  ['zero and false are values', '<%= 0 %> <%= false %>', '0 false'],
])('%s', (_, source, text) => {
  expect(renderTemplate(source, 'x.ejs', context)).toEqual({ ok: true, text });
});

describe('an error has a line and says what is wrong', () => {
  test.each([
    ['an unknown name', 'one\ntwo <%= nobody %>', 2, 'nobody is not defined'],
    [
      'an unknown name in a condition',
      '\n\n<% if (nobody) { %>x<% } %>',
      3,
      'nobody is not defined',
    ],
    ['a property that is not there', 'a\n<%= node.nmae %>', 2, 'the value here is undefined'],
    ['null', '<%= null %>', 1, 'the value here is null'],
    ['the time', '\n<%= Date.now() %>', 2, "Cannot read properties of undefined (reading 'now')"],
    ['chance', '<%= Math.random() %>', 1, 'Math.random is not a function'],
    ['the environment', '<%= process.env.HOME %>', 1, "(reading 'env')"],
    ['another file', "<%- include('/etc/passwd') %>", 1, 'include is not offered'],
    ['a name set without let', '<% name = 1 %>', 1, 'name is not defined'],
    ['broken JavaScript', 'a\nb\n<%= list[ %>\n', 3, 'Unexpected token'],
    ['a tag without an end', 'a\n<%= list', 2, 'Could not find matching close tag'],
  ])('%s', (_, source, line, message) => {
    const rendered = renderTemplate(source, 'files/x.ejs', context);
    expect(rendered).toEqual({ ok: false, line, message: expect.stringContaining(message) });
  });
});
