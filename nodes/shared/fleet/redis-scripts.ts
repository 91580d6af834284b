/**
 * What Redis does in one step, in Lua. Each may be run twice: when a connection is cut nobody knows whether its last script
 * was run. Time is Redis's own (TIME), so no clocks of two machines are compared. All keys of a group share one hash tag.
 */
import { createHash } from "node:crypto";

export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

const NOW = `local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000)\n`;
/** Has the member of that name beaten lately? */
const LIVES = `local function lives(m) local s=redis.call('ZSCORE',KEYS[1],m) return s and tonumber(s)>=now-dead end\n`;

/**
 * KEYS: members, counts, leases, epoch. ARGV: instance, count, dead after ms, epoch, then pairs of wish and lease name.
 * Members that are silent for a minute are forgotten.
 */
export const BEAT = script(`${NOW}local me,dead=ARGV[1],tonumber(ARGV[3])
${LIVES}redis.call('SET',KEYS[4],ARGV[4],'NX')
if tonumber(redis.call('HGET',KEYS[2],me) or '0')>=tonumber(ARGV[2]) then return {'clash'} end
redis.call('HSET',KEYS[2],me,ARGV[2])
redis.call('ZADD',KEYS[1],now,me)
for _,m in ipairs(redis.call('ZRANGEBYSCORE',KEYS[1],'-inf',now-60000,'LIMIT',0,100)) do
redis.call('ZREM',KEYS[1],m) redis.call('HDEL',KEYS[2],m) end
local holders={}
for i=5,#ARGV,2 do local wish,name=ARGV[i],ARGV[i+1]
local h=redis.call('HGET',KEYS[3],name)
if h~=me and ((not h and wish~='look') or (h and wish=='inherit' and not lives(h))) then
redis.call('HSET',KEYS[3],name,me) h=me end
holders[#holders+1]=h or '' end
return {'ok',redis.call('GET',KEYS[4]),redis.call('ZRANGEBYSCORE',KEYS[1],now-dead,'+inf'),holders}`);

/**
 * Many changes at once. KEYS: members, then for each change the record and what of its kind is held by us. ARGV: instance, dead
 * after ms, start of the names of `held`, then for each change its kind, key, mode (`gone` = removed), value, seconds.
 */
export const WRITE = script(`${NOW}local me,dead=ARGV[1],tonumber(ARGV[2])
${LIVES}local function put(rec,held,kind,key,mode,value,ttl)
local h=redis.call('HGET',rec,'h')
if mode=='gone' then redis.call('SREM',held,key)
if h==me then redis.call('DEL',rec) end return 1 end
if h and h~=me then if mode=='own' and lives(h) then return 0 end
redis.call('SREM',ARGV[3]..kind..':'..h,key) end
redis.call('HSET',rec,'h',me,'v',value) redis.call('EXPIRE',rec,ttl)
redis.call('SADD',held,key)
if redis.call('TTL',held)<ttl then redis.call('EXPIRE',held,ttl) end return 1 end
local done={}
for i=2,#KEYS,2 do local a=4+(i-2)/2*5
done[#done+1]=put(KEYS[i],KEYS[i+1],ARGV[a],ARGV[a+1],ARGV[a+2],ARGV[a+3],tonumber(ARGV[a+4])) end
return done`);

/** KEYS: members, record, held by us. ARGV: instance, dead after ms, start of the names of `held`, key. */
export const CLAIM = script(`${NOW}local me,dead,key=ARGV[1],tonumber(ARGV[2]),ARGV[4]
${LIVES}local r=redis.call('HMGET',KEYS[2],'h','v') local h=r[1]
if not h or (h~=me and lives(h)) then return false end
redis.call('HSET',KEYS[2],'h',me)
redis.call('SREM',ARGV[3]..h,key) redis.call('SADD',KEYS[3],key)
redis.call('EXPIRE',KEYS[3],math.max(redis.call('TTL',KEYS[2]),redis.call('TTL',KEYS[3]),1))
return {h,r[2]}`);

/** KEYS: members, counts, leases. ARGV: instance. */
export const LEAVE = script(`redis.call('ZREM',KEYS[1],ARGV[1]) redis.call('HDEL',KEYS[2],ARGV[1])
local all=redis.call('HGETALL',KEYS[3])
for i=1,#all,2 do if all[i+1]==ARGV[1] then redis.call('HDEL',KEYS[3],all[i]) end end
return 1`);

/** KEYS: leases. ARGV: instance, lease. */
export const RELEASE = script(
  `if redis.call('HGET',KEYS[1],ARGV[2])==ARGV[1] then redis.call('HDEL',KEYS[1],ARGV[2]) end return 1`,
);
