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

/**
 * KEYS 1 epoch  2 permits of the target (sorted set: token, expiry in ms)
 * ARGV 1 epoch  2 limit  3 lease in ms  4… tokens
 * -> how many of the tokens got a permit: the first ones; -1: the epoch is lost
 */
export const takePermits = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ${runId} then return -1 end
${nowMs}
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local room = math.min(math.max(0, ARGV[2] - redis.call('ZCARD', KEYS[2])), #ARGV - 3)
for i = 1, room do redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[3 + i]) end
if room > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[3] * 10) end
return room
`;

/**
 * KEYS 1 permits of the target  2 throughput (hash: "target second" -> calls ended)  3 charges (hash: "used target tenant", "estimated …" -> tokens)
 * ARGV 1 target  2 limit  3 calls, then for each: token, tenant, tokens estimated, tokens used
 * -> 1: all places were taken, somebody may wait for one
 */
export const settlePermits = `
local time = redis.call('TIME')
local full = redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2])
for i = 4, #ARGV, 4 do
  redis.call('ZREM', KEYS[1], ARGV[i])
  local whose = ARGV[1] .. ' ' .. ARGV[i + 1]
  redis.call('HINCRBY', KEYS[3], 'estimated ' .. whose, ARGV[i + 2])
  redis.call('HINCRBY', KEYS[3], 'used ' .. whose, ARGV[i + 3])
end
redis.call('HINCRBY', KEYS[2], ARGV[1] .. ' ' .. time[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], 60)
redis.call('EXPIRE', KEYS[3], 600)
return full and 1 or 0
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

/** KEYS 1 pauses · ARGV 1 scope  2 kind  3 until in ms. The later deadline wins. */
export const pause = `
local known = redis.call('HGET', KEYS[1], ARGV[1])
local till = known and string.match(known, '(%d+)$') or '0'
if tonumber(till) < tonumber(ARGV[3]) then till = ARGV[3] end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. till)
`;

/** KEYS 1 charges -> the whole hash, which is emptied */
export const takeCharges = `
local all = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return all
`;
