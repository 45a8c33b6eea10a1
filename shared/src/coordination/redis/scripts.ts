/**
 * Coordination in Lua: each script is one step that nothing interrupts.
 *
 * All keys of a provider share its hash tag, so that they live on one node of a Cluster. Times are the server's own.
 * `run_id` changes when a server restarts or another takes over: an epoch written before that is not believed, because
 * the last second of writes may be gone.
 */
const runId = `string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')`;
const nowMs = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** The state of a place stands in a hash of its target: "place limit", "place lowered" and "place rest". */
const roomOf = `
local function limitOf(place, configured)
  return math.max(1, math.floor(math.min(configured, tonumber(redis.call('HGET', KEYS[2], place .. ' limit') or configured))))
end`;

/**
 * KEYS 1 epoch  2 state of the target's places  3… permits of each place (sorted set: token, expiry in ms)
 * ARGV 1 epoch  2 lease in ms  3 places, then for each: id, concurrency; then tokens
 * -> for each token the number of its place, or 0; then why there was none: 0 taken, else ms until one has rested; -1 alone: the epoch is lost
 */
export const takePermits = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ${runId} then return { -1 } end
${nowMs}${roomOf}
local places, rested = {}, 0
for p = 1, tonumber(ARGV[3]) do
  local id, key = ARGV[2 + 2 * p], KEYS[2 + p]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local limit, used = limitOf(id, tonumber(ARGV[3 + 2 * p])), redis.call('ZCARD', key)
  local rest = tonumber(redis.call('HGET', KEYS[2], id .. ' rest') or 0)
  if rest > now then
    if used < limit and (rested == 0 or rest - now < rested) then rested = rest - now end
  else places[#places + 1] = { n = p, key = key, limit = limit, used = used } end
end
-- A place that is merely taken comes free before one has rested.
if #places > 0 then rested = 0 end
local answer = {}
for i = 4 + 2 * ARGV[3], #ARGV do
  local best = nil
  for _, place in ipairs(places) do
    if place.used < place.limit and (best == nil or place.used / place.limit < best.used / best.limit) then best = place end
  end
  answer[#answer + 1] = best and best.n or 0
  if best then
    best.used = best.used + 1
    redis.call('ZADD', best.key, now + ARGV[2], ARGV[i])
    redis.call('PEXPIRE', best.key, ARGV[2] * 10)
  end
end
answer[#answer + 1] = rested
return answer
`;

/**
 * KEYS 1 throughput (hash: "target second" -> calls ended)  2 state of the target's places
 *   3 charges (hash: "used target tenant", "estimated …" -> tokens)  4… permits of each place
 * ARGV 1 target  2 factor of congestion  3 places, then for each: id, concurrency;
 *   then for each call: token, number of its place, pressure, ms held, ms to rest, tenant, tokens estimated, tokens used
 * -> 1: a place was full, somebody may wait for one
 */
export const settlePermits = `
${nowMs}${roomOf}
local n = tonumber(ARGV[3])
local full = 0
for p = 1, n do
  if redis.call('ZCARD', KEYS[3 + p]) >= limitOf(ARGV[2 + 2 * p], tonumber(ARGV[3 + 2 * p])) then full = 1 end
end
local calls = 0
for i = 4 + 2 * n, #ARGV, 8 do
  calls = calls + 1
  local p = tonumber(ARGV[i + 1])
  local id, configured = ARGV[2 + 2 * p], tonumber(ARGV[3 + 2 * p])
  redis.call('ZREM', KEYS[3 + p], ARGV[i])
  local limit = tonumber(redis.call('HGET', KEYS[2], id .. ' limit') or configured)
  if ARGV[i + 2] == 'congested' and now - ARGV[i + 3] >= tonumber(redis.call('HGET', KEYS[2], id .. ' lowered') or 0) then
    redis.call('HSET', KEYS[2], id .. ' limit', tostring(math.max(1, math.min(limit, configured) * ARGV[2])), id .. ' lowered', now)
  elseif ARGV[i + 2] == 'eased' and limit < configured then
    if limit + 1 / limit >= configured then redis.call('HDEL', KEYS[2], id .. ' limit')
    else redis.call('HSET', KEYS[2], id .. ' limit', tostring(limit + 1 / limit)) end
  end
  if tonumber(ARGV[i + 4]) > 0 then
    local known = tonumber(redis.call('HGET', KEYS[2], id .. ' rest') or 0)
    redis.call('HSET', KEYS[2], id .. ' rest', math.max(known, now + ARGV[i + 4]))
  end
  local whose = ARGV[1] .. ' ' .. ARGV[i + 5]
  redis.call('HINCRBY', KEYS[3], 'estimated ' .. whose, ARGV[i + 6])
  redis.call('HINCRBY', KEYS[3], 'used ' .. whose, ARGV[i + 7])
end
redis.call('HINCRBY', KEYS[1], ARGV[1] .. ' ' .. time[1], calls)
redis.call('EXPIRE', KEYS[1], 60)
redis.call('EXPIRE', KEYS[3], 600)
redis.call('EXPIRE', KEYS[2], 86400)
return full
`;

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
 * KEYS 1 throughput  2 pauses (hash: scope -> "kind until")
 * ARGV 1 seconds to look back
 * -> two lists: target, calls ended …; scope, "kind until" …. What is over is removed.
 */
export const readFleet = `
${nowMs}
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
return { throughput, pauses }
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
