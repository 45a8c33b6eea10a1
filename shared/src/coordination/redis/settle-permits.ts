/** The script that ends calls: places come free, and what they really were is counted. */
import { countedSlots, outcomeSlotMs } from '../coordination.ts';
import { nowMs, rateWindows, readCounts, usual } from './lua.ts';

/** How a place bore a call, and how long it is to be left alone. */
const press = `
local function limitOf(place)
  return tonumber(redis.call('HGET', KEYS[2], place.id .. ' limit')) or place.concurrency
end
local function press(call, place)
  if call.pressure ~= 'none' then
    local limit = limitOf(place)
    if call.pressure == 'congested' then
      if now - call.heldMs >= (tonumber(redis.call('HGET', KEYS[2], place.id .. ' lowered')) or 0) then
        redis.call('HSET', KEYS[2], place.id .. ' limit', tostring(math.max(1, math.min(limit, place.concurrency) * spec.factor)), place.id .. ' lowered', now)
      end
    elseif limit < place.concurrency then
      if limit + 1 / limit >= place.concurrency then redis.call('HDEL', KEYS[2], place.id .. ' limit')
      else redis.call('HSET', KEYS[2], place.id .. ' limit', tostring(limit + 1 / limit)) end
    end
  end
  if call.restMs > 0 then
    local known = tonumber(redis.call('HGET', KEYS[2], place.id .. ' rest')) or 0
    redis.call('HSET', KEYS[2], place.id .. ' rest', string.format('%.0f', math.max(known, now + call.restMs)))
  end
end
`;

/** What was reserved becomes what was used. Of a permit that is gone, nothing is given back: it may have been settled. */
const book = `
local accounts = {}
local function book(call, isHeld)
  local account = accounts[call.account] or loadAccount(KEYS[7 + #spec.places + call.account], spec.limits)
  accounts[call.account] = account
  for i, limit in ipairs(spec.limits) do
    local used = call.isSent and amountOf(limit.unit, call.usedInput, call.usedOutput) or 0
    local difference = used - amountOf(limit.unit, call.input, call.output)
    if isHeld or difference > 0 then correct(account, i, difference, call.atMs) end
  end
end
`;

/** Outcomes of a closed breaker, written once for all calls. */
const count = `
local isClosed = redis.call('HEXISTS', KEYS[4], target .. ' state') == 0
local ok, failed, ms, run = 0, 0, 0, 0
local function count(call)
  if call.outcome == 'success' then
    ok = ok + 1; ms = ms + call.heldMs; run = 0
  else failed = failed + 1; run = run + 1 end
end
local function saveCounts()
  local slot = math.floor(now / ${outcomeSlotMs})
  if ok > 0 then
    redis.call('HINCRBY', KEYS[5], target .. ' ok ' .. slot, ok)
    redis.call('HINCRBY', KEYS[5], target .. ' ms ' .. slot, ms)
    redis.call('HSET', KEYS[5], target .. ' run', run)
  else redis.call('HINCRBY', KEYS[5], target .. ' run', run) end
  if failed > 0 then redis.call('HINCRBY', KEYS[5], target .. ' failed ' .. slot, failed) end
  local usualOk, usualFailed, usualMs = usualOf(redis.call('HGET', KEYS[6], target))
  redis.call('HSET', KEYS[6], target, usualText(usualOk + ok, usualFailed + failed, usualMs + ms))
  local last = tonumber(redis.call('HGET', KEYS[5], target .. ' slot'))
  if slot == last then return end
  -- Slots that no window can reach any more.
  if last then
    for s = last - ${countedSlots} + 1, math.min(last, slot - ${countedSlots}) do
      redis.call('HDEL', KEYS[5], target .. ' ok ' .. s, target .. ' failed ' .. s, target .. ' ms ' .. s)
    end
  end
  redis.call('HSET', KEYS[5], target .. ' slot', slot)
  redis.call('EXPIRE', KEYS[5], 86400)
  redis.call('EXPIRE', KEYS[6], 86400)
end
`;

/**
 * KEYS 1 throughput (hash: "target second" -> calls ended)  2 state of the target's places ("place limit", "place lowered",
 *   "place rest")  3 charges (hash: "used target tenant", "estimated …" -> tokens)  4 breakers ("target state|version|probe")
 *   5 outcomes ("target ok|failed|ms" and slot, "target run")  6 what is usual (hash by target)  7 budget of retries
 *   8… permits of each place, then the rates of each account
 * ARGV 1 target  2 JSON: `factor` of congestion, `places` (id, concurrency), `limits`, `windowMs`, `retriesPerCall`, `mostRetries`
 *   and `calls`: token, place (number of its key), pressure, heldMs, restMs, tenant, estimated, used, outcome, isProbe, and of
 *   those that reserved: account (number of its key), atMs, reserved and used input and output, isSent
 * -> 1: a place was full, somebody may wait for one; then, where the breaker may change: version, state as JSON, failures in
 *   a row, and of the window: answers, failures, ms of answers; what is usual: "answers failures ms at"
 */
export const settlePermits = `
${nowMs}
${rateWindows}
${usual}
${readCounts}
local target, spec = ARGV[1], cjson.decode(ARGV[2])
${press}
${book}
${count}
local full = 0
for p, place in ipairs(spec.places) do
  if redis.call('ZCARD', KEYS[7 + p]) >= math.max(1, math.floor(math.min(place.concurrency, limitOf(place)))) then full = 1 end
end
local isProbed, charges = false, {}
for _, call in ipairs(spec.calls) do
  local isHeld = redis.call('ZREM', KEYS[7 + call.place], call.token) == 1
  press(call, spec.places[call.place])
  if call.account then book(call, isHeld) end
  if call.isProbe then isProbed = true elseif isClosed and call.outcome ~= 'neither' then count(call) end
  local charge = charges[call.tenant] or { estimated = 0, used = 0 }
  charges[call.tenant] = charge
  charge.estimated = charge.estimated + call.estimated; charge.used = charge.used + call.used
end
for _, account in pairs(accounts) do saveAccount(account) end
if ok + failed > 0 then saveCounts() end
for tenant, charge in pairs(charges) do
  redis.call('HINCRBY', KEYS[3], 'estimated ' .. target .. ' ' .. tenant, charge.estimated)
  redis.call('HINCRBY', KEYS[3], 'used ' .. target .. ' ' .. tenant, charge.used)
end
local saved = tonumber(redis.call('HGET', KEYS[7], 'level'))
if saved then redis.call('HSET', KEYS[7], 'level', tostring(math.min(spec.mostRetries, saved + spec.retriesPerCall * #spec.calls))) end
redis.call('HINCRBY', KEYS[1], target .. ' ' .. time[1], #spec.calls)
redis.call('EXPIRE', KEYS[1], 60)
redis.call('EXPIRE', KEYS[3], 600)
redis.call('EXPIRE', KEYS[2], 86400)
if failed == 0 and not isProbed and not spec.isLatencyWatched then return { full } end
return { full, unpack(breakerReading(KEYS[4], KEYS[5], KEYS[6], target, spec.windowMs)) }
`;
