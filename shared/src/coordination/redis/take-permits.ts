/** The script that lets calls go: breaker, rests, concurrency and rates in one step. */
import { keptRoom } from '../coordination.ts';
import { nowMs, rateWindows, runId } from './lua.ts';

/** When a call may go, as far as its account's rates are concerned; and how a place is kept for one that is large. */
const rates = `
local accounts = {}
local function accountAt(n)
  if not accounts[n] then accounts[n] = loadAccount(KEYS[3 + #spec.places + n], spec.limits) end
  return accounts[n]
end
-- The ms until so much has left the window.
local function untilFree(account, i, excess)
  local limit, window = account.limits[i], account.windows[i]
  local oldest = window.current - limit.slots + 1
  if not window.amounts then window.amounts = redis.call('HMGET', account.key, unpack(slotFields(limit, oldest, window.current))) end
  for n = 1, limit.slots do
    excess = excess - (tonumber(window.amounts[n]) or 0)
    if excess <= 0 then return (oldest + n - 1 + limit.slots) * limit.slotMs - account.at end
  end
  return limit.slotMs
end
local function waitFor(account, request)
  local own, all = 0, 0
  for i, limit in ipairs(account.limits) do
    local window, need, kept = account.windows[i], amountOf(limit.unit, request.input, request.output), 0
    if limit.isPaced and window.level <= 0 then
      local paced = 1 - window.level * limit.periodMs / limit.limit
      own = math.max(own, paced); all = math.max(all, paced)
    end
    if account.next and account.next.job ~= request.job and limit.unit ~= 'requests' then
      kept = amountOf(limit.unit, account.next.input, account.next.output)
    end
    local excess = window.total + need + kept - limit.limit
    if excess > 0 then own = math.max(own, untilFree(account, i, excess)) end
    if window.total >= limit.limit then all = math.max(all, untilFree(account, i, window.total + 1 - limit.limit)) end
  end
  return own, all
end
-- A large call would wait for ever behind small ones that just fit.
local function keepRoom(account, request, wait)
  if wait > ${keptRoom.longestWaitMs} or (account.next and account.next.job ~= request.job) then return end
  account.next = { job = request.job, input = request.input, output = request.output }
  redis.call('HSET', account.key, 'next', string.format('%.0f %.0f %.0f %s', now + wait + ${keptRoom.graceMs}, request.input, request.output, request.job))
end
local function reserve(account, request)
  for i, limit in ipairs(account.limits) do
    local window, need = account.windows[i], amountOf(limit.unit, request.input, request.output)
    window.total = window.total + need
    window.level = window.level - need
    if window.amounts then window.amounts[limit.slots] = (tonumber(window.amounts[limit.slots]) or 0) + need end
    redis.call('HINCRBY', account.key, limit.name .. ' ' .. (window.current % limit.slots), need)
  end
  if account.next and account.next.job == request.job then account.next = nil; redis.call('HDEL', account.key, 'next') end
end
`;

/** Whether the breaker lets calls go: `shut`, the ms until it does (-1: not known), or `probed`, the state whose probe may start. */
const breaker = `
local shut, probed = nil, nil
local function shutFor(ms)
  if shut == nil then shut = ms elseif shut < 0 or ms < 0 then shut = -1 else shut = math.max(shut, ms) end
end
local everywhere = string.match(target, '^[^/]+') .. '/* state'
local states = redis.call('HMGET', KEYS[3], everywhere, target .. ' state', target .. ' probe')
for i = 1, 2 do
  local state = states[i] and cjson.decode(states[i])
  if state and state.kind == 'open' and (type(state.untilMs) ~= 'number' or state.untilMs > now) then
    shutFor(type(state.untilMs) == 'number' and state.untilMs - now or -1)
  elseif state and i == 2 then
    if states[3] and tonumber(string.match(states[3], '(%d+)$')) > now then shutFor(-1) else probed = state end
  end
end
if shut then
  local answers = {}
  for i = 1, #requests do answers[i] = { 0, 3, math.ceil(shut), -1 } end
  return answers
end
local function startProbe(token)
  redis.call('HSET', KEYS[3], target .. ' probe', token .. ' ' .. string.format('%.0f', now + ARGV[2]))
  if probed.kind ~= 'open' then return end
  probed.kind = 'half_open'; probed.untilMs = nil; probed.successes = 0
  redis.call('HSET', KEYS[3], target .. ' state', cjson.encode(probed))
  redis.call('HINCRBY', KEYS[3], target .. ' version', 1)
end
`;

const places = `
local places, rested = {}, -1
for p, place in ipairs(spec.places) do
  local key = KEYS[3 + p]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local known = redis.call('HMGET', KEYS[2], place.id .. ' limit', place.id .. ' rest')
  local limit = math.max(1, math.floor(math.min(place.concurrency, tonumber(known[1]) or place.concurrency)))
  local used, rest = redis.call('ZCARD', key), tonumber(known[2]) or 0
  if rest > now then
    if used < limit and (rested < 0 or rest - now < rested) then rested = rest - now end
  else places[#places + 1] = { n = p, key = key, limit = limit, used = used, account = place.account } end
end
`;

/**
 * KEYS 1 epoch  2 state of the target's places  3 breakers  4… permits of each place (sorted set: token, expiry in ms),
 *   then the rates of each account
 * ARGV 1 epoch  2 lease in ms  3 target  4 JSON: `places` (id, concurrency, account: number of its key), `limits`
 *   then for each request: token, job, input, output
 * -> for each: number of its place, ms of the reservation, 1: it is the probe, 0;
 *   or 0, why (1 concurrency, 2 rate, 3 breaker), ms until it may go, ms until any may go; -1: not known. -1 first: the epoch is lost
 */
export const takePermits = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ${runId} then return { { -1, 0, 0, 0 } } end
${nowMs}
${rateWindows}
local target, spec, requests = ARGV[3], cjson.decode(ARGV[4]), {}
for i = 5, #ARGV, 4 do
  requests[#requests + 1] = { token = ARGV[i], job = ARGV[i + 1], input = tonumber(ARGV[i + 2]), output = tonumber(ARGV[i + 3]) }
end
${breaker}
${places}
${rates}
local isLimited, hasProbe, answers = #spec.limits > 0, false, {}
for i, request in ipairs(requests) do
  local best, taken, wait, all, soonest = nil, 0, -1, -1, nil
  for _, place in ipairs(places) do
    if place.used >= place.limit then taken = taken + 1
    else
      local own, each = 0, 0
      if isLimited then own, each = waitFor(accountAt(place.account), request) end
      if own <= 0 then
        if best == nil or place.used / place.limit < best.used / best.limit then best = place end
      else
        if wait < 0 or own < wait then wait = own; soonest = place end
        if all < 0 or each < all then all = each end
      end
    end
  end
  if hasProbe then answers[i] = { 0, 3, -1, -1 }
  elseif best then
    best.used = best.used + 1
    redis.call('ZADD', best.key, now + ARGV[2], request.token)
    redis.call('PEXPIRE', best.key, ARGV[2] * 10)
    local at = now
    if isLimited then
      local account = accountAt(best.account)
      reserve(account, request)
      at = account.at
    end
    if probed then
      hasProbe = true
      startProbe(request.token)
    end
    answers[i] = { best.n, at, probed and 1 or 0, 0 }
  elseif taken > 0 then answers[i] = { 0, 1, -1, -1 } -- A place that is merely taken comes free before one has rested.
  elseif wait > 0 and (rested < 0 or wait < rested) then
    keepRoom(accountAt(soonest.account), request, wait)
    answers[i] = { 0, 2, math.ceil(wait), math.ceil(all) }
  elseif rested > 0 then answers[i] = { 0, 2, math.ceil(rested), math.ceil(rested) }
  else answers[i] = { 0, 1, -1, -1 } end
end
for _, account in pairs(accounts) do saveAccount(account) end
return answers
`;
