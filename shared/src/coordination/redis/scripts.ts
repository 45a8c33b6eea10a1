/**
 * Coordination in Lua: each script is one step that nothing interrupts.
 *
 * All keys of a provider share its hash tag, so that they live on one node of a Cluster. Times are the server's own.
 * `run_id` changes when a server restarts or another takes over: an epoch written before that is not believed, because
 * the last second of writes may be gone.
 */
import { retryBudget } from '../coordination.ts';
import { forgetCounts, nowMs, rateWindows, readCounts, runId, usual } from './lua.ts';

/**
 * KEYS 1… permits of targets
 * ARGV 1 lease in ms  2… for each key in turn: number of tokens, tokens
 * A permit that is gone is not made again: its place may be taken.
 */
export const renewPermits = `
${nowMs}
local at = 2
for k = 1, #KEYS do
  for i = at + 1, at + ARGV[at] do redis.call('ZADD', KEYS[k], 'XX', now + ARGV[1], ARGV[i]) end
  redis.call('PEXPIRE', KEYS[k], ARGV[1] * 10)
  at = at + ARGV[at] + 1
end
`;

/** KEYS 1 epoch · ARGV 1 epoch -> 1: the store holds it */
export const holdsEpoch = `
return redis.call('GET', KEYS[1]) == ARGV[1] .. ':' .. ${runId} and 1 or 0
`;

/** KEYS 1 epoch · ARGV 1 epoch. The last step of a rebuild. */
export const writeEpoch = `
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ${runId})
`;

/**
 * KEYS 1 permits of one target
 * ARGV 1 lease in ms  2… tokens: all that may be there
 */
export const restorePermits = `
${nowMs}
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 10)
`;

/**
 * KEYS 1 throughput  2 pauses (hash: scope -> "kind until")  3 breakers  4 what is usual
 * ARGV 1 seconds to look back
 * -> lists: target, calls ended …; scope, "kind until" …; target, state as JSON …; target, answers, failures, ms of answers …
 * What is over is removed.
 */
export const readFleet = `
${nowMs}
${usual}
local from = time[1] - ARGV[1]
local ended = {}
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  local target, second = string.match(counts[i], '^(.+) (%d+)$')
  if tonumber(second) > from then ended[target] = (ended[target] or 0) + counts[i + 1]
  else redis.call('HDEL', KEYS[1], counts[i]) end
end
local throughput = {}
for target, n in pairs(ended) do throughput[#throughput + 1] = target; throughput[#throughput + 1] = tostring(n) end
local pauses = {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '(%d+)$')) > now then
    pauses[#pauses + 1] = all[i]; pauses[#pauses + 1] = all[i + 1]
  else redis.call('HDEL', KEYS[2], all[i]) end
end
local breakers = {}
local known = redis.call('HGETALL', KEYS[3])
for i = 1, #known, 2 do
  local target = string.match(known[i], '^(.+) state$')
  if target then breakers[#breakers + 1] = target; breakers[#breakers + 1] = known[i + 1] end
end
local usuals = redis.call('HGETALL', KEYS[4])
for i = 2, #usuals, 2 do usuals[i] = usualText(usualOf(usuals[i])) end
return { throughput, pauses, breakers, usuals }
`;

/** KEYS 1 pauses · ARGV 1 scope  2 kind  3 until in ms. The later deadline wins. -> 1: it was not paused before */
export const pause = `
${nowMs}
local known = redis.call('HGET', KEYS[1], ARGV[1])
local till = known and string.match(known, '(%d+)$') or '0'
local fresh = tonumber(till) <= now and 1 or 0
if tonumber(till) < tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3]) end
return fresh
`;

/** KEYS 1 charges -> the whole hash, which is emptied */
export const takeCharges = `
local all = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return all
`;

/**
 * KEYS 1 permits of the place  2 breakers  3… rates of the account, if something was reserved
 * ARGV 1 token  2 target  3 1: it was a probe  4 limits as JSON  5 when it was reserved  6 input  7 output
 * No request was sent: everything is given back, once; of a permit that is gone nothing is, its rates may be gone too.
 */
export const givePermitBack = `
${nowMs}
${rateWindows}
local isHeld = redis.call('ZREM', KEYS[1], ARGV[1]) == 1
if ARGV[3] == '1' then
  local probe = redis.call('HGET', KEYS[2], ARGV[2] .. ' probe')
  if probe and string.sub(probe, 1, #ARGV[1] + 1) == ARGV[1] .. ' ' then redis.call('HDEL', KEYS[2], ARGV[2] .. ' probe') end
end
if KEYS[3] and isHeld then
  local limits = cjson.decode(ARGV[4])
  local account = loadAccount(KEYS[3], limits)
  for i, limit in ipairs(limits) do
    correct(account, i, -amountOf(limit.unit, tonumber(ARGV[6]), tonumber(ARGV[7])), tonumber(ARGV[5]))
  end
  saveAccount(account)
end
`;

/** KEYS 1 breakers · ARGV 1 lease in ms  2… for each probe: target, token. One that is gone stays gone. */
export const renewProbes = `
${nowMs}
for i = 2, #ARGV, 2 do
  local field = ARGV[i] .. ' probe'
  local probe = redis.call('HGET', KEYS[1], field)
  if probe and string.sub(probe, 1, #ARGV[i + 1] + 1) == ARGV[i + 1] .. ' ' then
    redis.call('HSET', KEYS[1], field, ARGV[i + 1] .. ' ' .. string.format('%.0f', now + ARGV[1]))
  end
end
`;

/**
 * KEYS 1 breakers  2 outcomes · ARGV 1 target  2 version that was seen  3 next state as JSON, or nothing: closed
 *   4 token of the probe that has ended, or nothing -> 1: it is the state now
 */
export const swapBreaker = `
${nowMs}
if tonumber(redis.call('HGET', KEYS[1], ARGV[1] .. ' version') or 0) ~= tonumber(ARGV[2]) then return 0 end
local probe = redis.call('HGET', KEYS[1], ARGV[1] .. ' probe')
-- Another one has its turn by now: the end of this one says nothing any more.
if ARGV[4] ~= '' and not (probe and string.sub(probe, 1, #ARGV[4] + 1) == ARGV[4] .. ' ') then return 0 end
redis.call('HINCRBY', KEYS[1], ARGV[1] .. ' version', 1)
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1] .. ' probe')
  if redis.call('HDEL', KEYS[1], ARGV[1] .. ' state') == 1 then
    ${forgetCounts}
  end
else redis.call('HSET', KEYS[1], ARGV[1] .. ' state', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HDEL', KEYS[1], ARGV[1] .. ' probe') end
return 1
`;

/** KEYS 1 breakers  2 outcomes  3 what is usual · ARGV 1 target. Closed, and nothing is remembered. */
export const resetBreaker = `
${nowMs}
redis.call('HINCRBY', KEYS[1], ARGV[1] .. ' version', 1)
redis.call('HDEL', KEYS[1], ARGV[1] .. ' state', ARGV[1] .. ' probe')
${forgetCounts}
redis.call('HDEL', KEYS[3], ARGV[1])
`;

/** KEYS 1 breakers  2 outcomes  3 what is usual · ARGV 1 target  2 ms of the window -> as `settlePermits` says it */
export const readBreaker = `
${nowMs}
${usual}
${readCounts}
return breakerReading(KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]))
`;

/** KEYS 1 budget of retries (hash) · ARGV 1 per second  2 most -> 0, or the ms until the one that was taken may be made */
export const takeRetry = `
${nowMs}
local got = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = math.min(tonumber(ARGV[2]), (tonumber(got[1]) or ARGV[2]) + math.max(0, now - (tonumber(got[2]) or now)) * ARGV[1] / 1000)
local wait = 0
if level < 1 then wait = math.ceil((1 - level) * 1000 / ARGV[1]) end
redis.call('HSET', KEYS[1], 'level', tostring(level - 1), 'at', now)
redis.call('PEXPIRE', KEYS[1], ${retryBudget.forgottenMs})
return wait
`;

/** KEYS 1 budget of retries (hash) */
export const returnRetry = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HINCRBYFLOAT', KEYS[1], 'level', 1) end
`;

/**
 * KEYS 1 rates of an account · ARGV 1 limit as JSON  2… number of a slot, amount: all that was reserved of it
 * A slot that has not begun, by the clock of whoever read it, counts as the one that runs.
 */
export const restoreRates = `
${nowMs}
local limit, total = cjson.decode(ARGV[1]), 0
local current = math.floor(now / limit.slotMs)
-- What another rebuild, or a call in between, has left there.
for slot = 0, limit.slots - 1 do redis.call('HDEL', KEYS[1], limit.name .. ' ' .. slot) end
for i = 2, #ARGV, 2 do
  local slot = math.min(tonumber(ARGV[i]), current)
  if slot > current - limit.slots then
    redis.call('HINCRBY', KEYS[1], limit.name .. ' ' .. (slot % limit.slots), ARGV[i + 1])
    total = total + ARGV[i + 1]
  end
end
redis.call('HSET', KEYS[1], limit.name .. ' total', tostring(total), limit.name .. ' level', 0, limit.name .. ' at', now)
redis.call('PEXPIRE', KEYS[1], math.max(limit.periodMs, limit.slots * limit.slotMs) * 2)
`;
