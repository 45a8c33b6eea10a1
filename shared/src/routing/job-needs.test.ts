import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import { needsOf, sizeOf } from './job-needs.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const settingsWith = (more: object) => settingsOf(more, parsed.environment, 'the test');
const settings = settingsWith({});

const job = {
  ...{ require: [], exclude_providers: [], estimated_tokens: 1_000, estimated_output: 100, tenant_id: 'ten_default' },
};

test('the size of a call parts the estimate into what is read and what is written', () => {
  expect(sizeOf(job)).toEqual({ inputTokens: 900, outputTokens: 100 });
});

describe('needsOf', () => {
  const needs = {
    ...{ capabilities: [], windowTokens: 0, size: { inputTokens: 900, outputTokens: 100 } },
    ...{ require: ['eu'], excludeProviders: ['dear'] },
  };
  const row = { ...job, require: ['eu'], exclude_providers: ['dear'] };
  const off = settingsWith({ privacy: { cloud: 'off' } });

  test('takes what the job asks for', () => {
    expect(needsOf(row, settings)).toEqual(needs);
  });

  test('requires a local target of all while the cloud is off, once', () => {
    expect(needsOf(row, off)).toEqual({ ...needs, require: ['eu', 'local'] });
    expect(needsOf({ ...row, require: ['local', 'eu'] }, off).require).toEqual(['local', 'eu']);
  });

  test('adds what is asked for all jobs of its tenant now', () => {
    const team = { require: ['eu', 'zero_retention'], exclude_providers: ['cheap'] };
    const tenants = settingsWith({ tenants: { team } });
    expect(needsOf({ ...row, tenant_id: 'ten_team' }, tenants)).toEqual({
      ...{ ...needs, require: ['eu', 'zero_retention'], excludeProviders: ['dear', 'cheap'] },
    });
    expect(needsOf(row, tenants), 'of another tenant').toEqual(needs);
  });
});
