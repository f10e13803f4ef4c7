-- Repeats what the bridge has said of a credential, for as long as the bridge says: no call then.
-- Where a request holds anything else that the bridge might want to see, it is asked. An error here
-- asks it too, for only `SELF` with `known` keeps Envoy from that.

-- Envoy 1.40 notes what any authorizer says under one name, whatever its filter is called.
local AUTHORIZER, SAID, SELF = "envoy.filters.http.ext_authz", "meshgate.verdict", "meshgate.verdict_cache"
-- Verdicts of one of two generations, in each worker; longer credentials are not remembered.
local MOST, LONGEST = 500, 4096
local MOST_RULES = 1000

local young, old, count = {}, {}, 0
local rules, rule_count = {}, 0

local function forget_if_full()
  if count >= MOST then
    old, young, count = young, {}, 0
  end
end

local function find(key)
  local found = young[key] or old[key]
  if found and found.til > os.time() then
    return found
  end
end

-- What the route says, read once: the text of each list is a key of it.
local function read_rule(config)
  local id = config:get("id")
  local rule = rules[id]
  if rule == nil then
    if rule_count >= MOST_RULES then
      rules, rule_count = {}, 0
    end
    rule = {
      id = id,
      headers = config:get("headers"),
      parameters = config:get("parameters") or {},
      cookies = config:get("cookies") or {},
      suffix = config:get("suffix"),
    }
    rules[id], rule_count = rule, rule_count + 1
  end
  return rule
end

local function holds_any(text, words)
  for _, word in ipairs(words) do
    if text:find(word, 1, true) then
      return true
    end
  end
  return false
end

-- Whether path or query may say more than the credential does.
local function path_matters(path, rule)
  local mark = path:find("?", 1, true)
  local plain = mark and path:sub(1, mark - 1) or path
  if rule.suffix and plain:sub(-#rule.suffix) == rule.suffix then
    return true
  end
  if not mark then
    return false
  end
  local query = "&" .. path:sub(mark + 1)
  -- A name that is written with escapes may be any.
  return query:find("&[^&=]*[%%+]") ~= nil or holds_any(query, rule.parameters)
end

-- The rule and the one credential; nil where there is more to look at.
local function key_of(headers, rule)
  local name
  for _, one in ipairs(rule.headers) do
    local lines = headers:getNumValues(one)
    if lines > 1 or lines == 1 and name then
      return nil
    elseif lines == 1 then
      name = one
    end
  end
  if not name or headers:get(":method") == "OPTIONS" or path_matters(headers:get(":path"), rule) then
    return nil
  end
  local value, cookies = headers:get(name), headers:get("cookie")
  if #value > LONGEST or cookies and holds_any(cookies, rule.cookies) then
    return nil
  end
  return rule.id .. "\n" .. name .. "\n" .. value
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local key = key_of(headers, read_rule(handle:filterContext()))
  if not key then
    return
  end
  local found = find(key)
  if not found then
    handle:streamInfo():dynamicMetadata():set(SELF, "key", key)
    return
  end
  for _, name in ipairs(found.remove) do
    headers:remove(name)
  end
  local set = found.set
  for i = 1, #set, 2 do
    headers:replace(set[i], set[i + 1])
  end
  handle:streamInfo():dynamicMetadata():set(SELF, "known", true)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local found = metadata:get(AUTHORIZER)
  local said = found and found[SAID]
  local til = said and tonumber(said["until"])
  local asked = til and metadata:get(SELF)
  if not asked or not asked.key then
    return
  end
  forget_if_full()
  young[asked.key] = { til = til, set = said.set or {}, remove = said.remove or {} }
  count = count + 1
end
