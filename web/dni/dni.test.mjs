// Tests of the parts of dni.js that need no page: node --test web/dni
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const source = readFileSync(new URL('./dni.js', import.meta.url), 'utf8');
const pure = source.split('// <pure>')[1].split('// </pure>')[0];
const { target, find, plan, splice, link, tagged, decided, answered } = new Function(
  'navigator', pure + '; return { target, find, plan, splice, link, tagged, decided, answered };')({});

const us = { e164: '+13125550171', national: '(312) 555-0171', cc: '1' };
const uk = { e164: '+442079460018', national: '020 7946 0018', cc: '44' };
const de = { e164: '+493012345678', national: '030 12345678', cc: '49' };
const dk = { e164: '+4532123456', national: '32 12 34 56', cc: '45' };
const fr = { e164: '+33123456789', national: '01 23 45 67 89', cc: '33' };
const it = { e164: '+390612345678', national: '06 1234 5678', cc: '39' };
const hu = { e164: '+3613579246', national: '(06 1) 357 9246', cc: '36' };
const all = [us, uk, de, dk, fr, it, hu];
const shown = {
  [us.e164]: { e164: '+13125550199', national: '(312) 555-0199' },
  [uk.e164]: { e164: '+442079460999', national: '020 7946 0999' },
  [de.e164]: { e164: '+493087654321', national: '030 87654321' },
  [dk.e164]: { e164: '+4587654321', national: '87 65 43 21' },
  [fr.e164]: { e164: '+33198765432', national: '01 98 76 54 32' },
  [it.e164]: { e164: '+390687654321', national: '06 8765 4321' },
  [hu.e164]: { e164: '+3618765432', national: '(06 1) 876 5432' },
};

function swap(text, map = shown, numbers = all) {
  return splice(text, 0, plan(text, numbers.map(target), map, () => true));
}

const formats = [
  ['312-555-0171', '312-555-0199'],
  ['312.555.0171', '312.555.0199'],
  ['(312) 555-0171', '(312) 555-0199'],
  ['(312)555-0171', '(312)555-0199'],
  ['312 555 0171', '312 555 0199'],
  ['312\u00a0555\u00a00171', '312\u00a0555\u00a00199'],
  ['312\u2011555\u20110171', '312\u2011555\u20110199'],
  ['312 \u2013 555 \u2013 0171', '312 \u2013 555 \u2013 0199'],
  ['3125550171', '3125550199'],
  ['+1 312 555 0171', '+1 312 555 0199'],
  ['+1 (312) 555-0171', '+1 (312) 555-0199'],
  ['+13125550171', '+13125550199'],
  ['1-312-555-0171', '1-312-555-0199'],
  ['1 (312) 555.0171', '1 (312) 555.0199'],
  ['001 312 555 0171', '001 312 555 0199'],
  ['011 1 312 555 0171', '011 1 312 555 0199'],
  ['Call 24/7: 312-555-0171.', 'Call 24/7: 312-555-0199.'],
  ['Call now!312-555-0171x12', 'Call now!312-555-0199x12'],
  ['312-555-0171 or (312) 555-0171', '312-555-0199 or (312) 555-0199'],
  ['020 7946 0018', '020 7946 0999'],
  ['(020) 7946 0018', '(020) 7946 0999'],
  ['+44 20 7946 0018', '+44 20 7946 0999'],
  ['+44 (0)20 7946 0018', '+44 (0)20 7946 0999'],
  ['+44 (0) 20 7946 0018', '+44 (0) 20 7946 0999'],
  ['0044 20 7946 0018', '0044 20 7946 0999'],
  ['02079460018', '02079460999'],
  ['030 / 12 34 56 78', '030 / 87 65 43 21'],
  ['(030) 12345678', '(030) 87654321'],
  ['+49 30 12345678', '+49 30 87654321'],
  ['+49 (0)30 / 123 456 78', '+49 (0)30 / 876 543 21'],
  ['32 12 34 56', '87 65 43 21'],
  ['+45 32123456', '+45 87654321'],
  ['01 23 45 67 89', '01 98 76 54 32'],
  ['01.23.45.67.89', '01.98.76.54.32'],
  ['+33 1 23 45 67 89', '+33 1 98 76 54 32'],
  ['+33 (0)1 23 45 67 89', '+33 (0)1 98 76 54 32'],
  ['06 1234 5678', '06 8765 4321'],
  ['+39 06 1234 5678', '+39 06 8765 4321'],
  ['(06 1) 357 9246', '(06 1) 876 5432'],
  ['+36 1 357 9246', '+36 1 876 5432'],
];
test('a number keeps the format in which it was printed', () => {
  for (const [printed, want] of formats) assert.equal(swap(printed), want, printed);
});

test('what is not the number is left alone', () => {
  for (const text of ['313-555-0171', '312-555-01712', '9312-555-0171', '+49 312 555 0171', '+44 312 555 0171',
    '312 and then 555 and at last 0171', '20 7946 0018', '993125550171', 'no digits', '']) {
    assert.equal(swap(text), text, text);
  }
});

test('a number of another shape is written as its own country writes it', () => {
  const bristol = { [uk.e164]: { e164: '+441174960018', national: '0117 496 0018' } };
  for (const [printed, want] of [
    ['Ring (020) 7946 0018 now', 'Ring 0117 496 0018 now'],
    ['020 7946 0018', '0117 496 0018'],
    ['+44 (0)20 7946 0018', '+44 117 496 0018'],
    ['+44 20 7946 0018', '+44 117 496 0018'],
    ['+442079460018', '+441174960018'],
  ]) assert.equal(swap(printed, bristol), want, printed);
  const short = { [de.e164]: { e164: '+498999887', national: '089 99887' } };
  assert.equal(swap('Tel. (030) 12345678!', short), 'Tel. 089 99887!');
  assert.equal(swap('+49 30 12345678', short), '+49 89 99887');
  const abroad = { [us.e164]: { e164: '+442079460018', national: '020 7946 0018' } };
  assert.equal(swap('(312) 555-0171', abroad), '+442079460018');
});

test('a number that is split over several texts is written over their digits', () => {
  const parts = ['Call +1 ', '(312', ') ', '55', '5-01', '71 today'];
  const list = plan(parts.join(''), all.map(target), shown, () => true);
  let at = 0;
  assert.deepEqual(parts.map((p) => { const s = splice(p, at, list); at += p.length; return s; }),
    ['Call +1 ', '(312', ') ', '55', '5-01', '99 today']);
  const whole = plan('(020) 7946 0018', all.map(target), { [uk.e164]: { e164: '+441174960018', national: '0117 496 0018' } }, () => true);
  assert.equal(splice('(020) ', 0, whole) + '|' + splice('7946', 6, whole) + '|' + splice(' 0018', 10, whole), '0117 496 0018||');
});

test('words between the digits are told, and nothing is written', () => {
  const hits = find('312 then 555 then 0171', [target(us)]);
  assert.equal(hits.length, 1);
  assert.equal(hits[0].why, 'format');
});

test('digits keep their places whatever stands between them', () => {
  const marks = [' ', '-', '.', ' - ', '\u00a0', '\u2011', '/', ') ', ' (', ''];
  let seed = 7;
  const next = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  for (let round = 0; round < 500; round++) {
    const gaps = Array.from({ length: 9 }, () => marks[next(marks.length)]);
    const spell = (ds) => [...ds].map((c, i) => c + (gaps[i] ?? '')).join('');
    const text = 'x ' + spell('3125550171') + ' y';
    assert.equal(swap(text), 'x ' + spell('3125550199') + ' y', text);
    assert.equal(swap(swap(text)), swap(text));
  }
});

test('links are read', () => {
  assert.deepEqual(link('tel:+13125550171'), { scheme: 'tel', number: '+13125550171', rest: '' });
  assert.deepEqual(link('TEL:(312)%20555-0171;ext=5'), { scheme: 'TEL', number: '(312) 555-0171', rest: ';ext=5' });
  assert.deepEqual(link('sms:312-555-0171?body=Hi%20there'), { scheme: 'sms', number: '312-555-0171', rest: '?body=Hi%20there' });
  assert.equal(link('tel:%E0%A4%A').number, '%E0%A4%A');
  assert.equal(link('https://shop.example/3125550171'), null);
});

test('evidence in an address is seen', () => {
  for (const q of ['?utm_source=x', '?a=1&gclid=Cj', '?gbraid=1', '?wbraid=1', '?msclkid=1', '?fbclid=2', '?ScCid=3', '?li_fat_id=4']) {
    assert.equal(tagged(q), true, q);
  }
  for (const q of ['', '?a=b', '?utm_source=', '?xgclid']) assert.equal(tagged(q), false, q);
});

test("Google's consent mode: the last word counts", () => {
  const say = (kind, what, region) => ['consent', kind, { ad_storage: what, ...(region ? { region } : {}) }];
  assert.equal(decided(undefined, 'ad_storage'), null);
  assert.equal(decided([{ event: 'x' }, ['js', new Date()]], 'ad_storage'), null);
  assert.equal(decided([say('default', 'denied')], 'ad_storage'), false);
  assert.equal(decided([say('default', 'denied'), say('update', 'granted')], 'ad_storage'), true);
  assert.equal(decided([say('update', 'granted'), say('update', 'denied')], 'ad_storage'), false);
  assert.equal(decided([say('default', 'denied'), say('default', 'granted', ['US'])], 'ad_storage'), false);
  assert.equal(decided([say('default', 'granted'), say('default', 'denied', ['DE'])], 'ad_storage'), false);
  assert.equal(decided([say('default', 'granted')], 'analytics_storage'), null);
});

test('garbage is no answer', () => {
  const good = { visitor: '', session: '', swap: { '+13125550171': { e164: '+13125550199', national: '(312) 555-0199' } } };
  assert.ok(answered(JSON.stringify(good)));
  for (const bad of ['', '<html>', 'null', '[]', '{}', '"x"', '{"session":"","visitor":""}', '{"session":1,"visitor":"","swap":{}}',
    JSON.stringify({ ...good, swap: { x: { e164: 'javascript:alert(1)', national: 'x' } } }),
    JSON.stringify({ ...good, swap: { x: { e164: '+13125550199' } } }),
    JSON.stringify({ ...good, swap: { x: null } })]) assert.equal(answered(bad), null, bad);
});
