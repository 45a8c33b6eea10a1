/** Pieces of Lua that several scripts share. */
import { pacingShare } from '../../routing/limits.ts';
import { countedSlots, outcomeSlotMs, usualHalfLifeMs } from '../coordination.ts';

export const runId = `string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')`;
export const nowMs = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * What an account has reserved of its limits: `routing/limits.ts`, as one hash. Of each limit: "name total", "name level",
 * "name at", and the amount of each slot under "name" and its number modulo their count. "next" is a large call that room
 * is kept for: "until input output job". The account's clock never goes back, even where the server's does.
 */
export const rateWindows = `
local function amountOf(unit, input, output)
  if unit == 'requests' then return 1 end
  if unit == 'input' then return input end
  if unit == 'output' then return output end
  return input + output
end
local function slotFields(limit, from, to)
  local fields = {}
  for s = from, to do fields[#fields + 1] = limit.name .. ' ' .. (s % limit.slots) end
  return fields
end
local function loadAccount(key, limits)
  local account, known = { key = key, limits = limits, windows = {}, at = now }, {}
  for i, limit in ipairs(limits) do
    known[i] = redis.call('HMGET', key, limit.name .. ' total', limit.name .. ' level', limit.name .. ' at')
    account.at = math.max(account.at, tonumber(known[i][3]) or 0)
  end
  for i, limit in ipairs(limits) do
    local total, at = tonumber(known[i][1]) or 0, tonumber(known[i][3]) or account.at
    local current, newest = math.floor(account.at / limit.slotMs), math.floor(at / limit.slotMs)
    local gone = slotFields(limit, newest + 1, math.min(current, newest + limit.slots))
    if #gone > 0 then
      for _, amount in ipairs(redis.call('HMGET', key, unpack(gone))) do total = total - (tonumber(amount) or 0) end
      redis.call('HDEL', key, unpack(gone))
    end
    local most = limit.limit * ${pacingShare}
    local level = (tonumber(known[i][2]) or most) + (account.at - at) * limit.limit / limit.periodMs
    account.windows[i] = { current = current, total = total, level = math.min(most, level) }
  end
  local till, input, output, job = string.match(redis.call('HGET', key, 'next') or '', '^(%d+) (%d+) (%d+) (.+)$')
  if till and tonumber(till) > now then account.next = { job = job, input = tonumber(input), output = tonumber(output) } end
  return account
end
local function saveAccount(account)
  local longest = 0
  for i, limit in ipairs(account.limits) do
    local window = account.windows[i]
    redis.call('HSET', account.key, limit.name .. ' total', tostring(window.total), limit.name .. ' level', tostring(window.level),
      limit.name .. ' at', account.at)
    longest = math.max(longest, limit.periodMs, limit.slots * limit.slotMs)
  end
  if longest > 0 then redis.call('PEXPIRE', account.key, longest * 2) end
end
local function correct(account, i, difference, at)
  local limit, window = account.limits[i], account.windows[i]
  local slot = math.min(math.floor(at / limit.slotMs), window.current)
  window.level = window.level - difference
  if difference == 0 or slot <= window.current - limit.slots then return end
  window.total = window.total + difference
  redis.call('HINCRBY', account.key, limit.name .. ' ' .. (slot % limit.slots), difference)
end
`;

/** What is usual of a target stands as "answers failures ms at", and has faded since. */
export const usual = `
local function usualOf(text)
  local ok, failed, ms, at = string.match(text or '', '^(%S+) (%S+) (%S+) (%S+)$')
  if not ok then return 0, 0, 0 end
  local fading = 0.5 ^ (math.max(0, now - at) / ${usualHalfLifeMs})
  return ok * fading, failed * fading, ms * fading
end
local function usualText(ok, failed, ms) return string.format('%.6g %.6g %.10g %.0f', ok, failed, ms, now) end
`;

/** What was counted of a target, since it closed and of what is usual. */
export const readCounts = `
local function breakerReading(breakers, outcomes, usuals, target, windowMs)
  local slot, n = math.floor(now / ${outcomeSlotMs}), math.min(${countedSlots}, math.ceil(windowMs / ${outcomeSlotMs}))
  local fields = { target .. ' run' }
  for s = slot - n + 1, slot do
    for _, what in ipairs({ ' ok ', ' failed ', ' ms ' }) do fields[#fields + 1] = target .. what .. s end
  end
  local got = redis.call('HMGET', outcomes, unpack(fields))
  local ok, failed, ms = 0, 0, 0
  for i = 2, #fields, 3 do
    ok = ok + (tonumber(got[i]) or 0); failed = failed + (tonumber(got[i + 1]) or 0); ms = ms + (tonumber(got[i + 2]) or 0)
  end
  local state = redis.call('HMGET', breakers, target .. ' version', target .. ' state')
  return { state[1] or '0', state[2] or '', got[1] or '0', tostring(ok), tostring(failed), tostring(ms),
    usualText(usualOf(redis.call('HGET', usuals, target))) }
end
`;

/** A breaker that closes begins to count anew; what is usual stays. KEYS 2 outcomes · ARGV 1 target */
export const forgetCounts = `
local forgotten, slot = { ARGV[1] .. ' run' }, math.floor(now / ${outcomeSlotMs})
for s = slot - ${countedSlots}, slot do
  for _, what in ipairs({ ' ok ', ' failed ', ' ms ' }) do forgotten[#forgotten + 1] = ARGV[1] .. what .. s end
end
redis.call('HDEL', KEYS[2], unpack(forgotten))
`;
