-- Kong's `pre-function` and `post-function`: people's own Lua, phase by phase. The route says
-- which (`filterContext`); each text is compiled once per worker.

local compiled = {}

-- As in Kong, a text that gives a function runs once to make it, and the function each time.
local function run_one(text, name)
  local found = compiled[text]
  if not found then
    found = { chunk = sandbox.compile(text, name) }
    compiled[text] = found
  end
  local now = state.now
  local result = found.chunk()
  state.now = now
  if type(result) == "function" then
    found.chunk = result
    result()
    state.now = now
  end
end

local function run(now, texts)
  for i, text in ipairs(texts) do
    state.now = now
    local done, problem = pcall(run_one, text, now.plugin .. " " .. now.phase .. "[" .. i .. "]")
    if not done and problem == now.exit then
      return
    elseif not done and not (type(problem) == "table" and problem.stop) then
      error(problem, 0)
    end
  end
end

local function context(handle)
  local config, found = handle:filterContext(), {}
  for _, key in ipairs({ "plugin", "keep", "rewrite", "access", "header_filter", "body_filter", "log" }) do
    found[key] = config:get(key)
  end
  return found
end

function envoy_on_request(handle)
  local config = context(handle)
  guard.request(handle, config.plugin, function()
    for _, phase in ipairs({ "rewrite", "access" }) do
      if config[phase] then
        run(state.begin(handle, config.plugin, phase), config[phase])
      end
    end
    if config.keep then
      state.keep(handle)
    end
  end)
end

local function replace_body(handle, text)
  local buffer = handle:body(true)
  buffer:setBytes(text)
  local headers = handle:headers()
  headers:replace("content-length", tostring(#text))
  headers:remove("content-encoding")
  headers:remove("transfer-encoding")
end

-- Says whether the body of the answer was held back.
local function answer(handle, config)
  local held = false
  for _, entry in ipairs(config.keep and state.remembered(handle) or {}) do
    pdk.response.apply(handle, entry)
  end
  if config.header_filter then
    local now = state.begin(handle, config.plugin, "header_filter")
    run(now, config.header_filter)
    if now.exit then
      handle:headers():replace(":status", string.format("%d", now.exit.status))
      for name, value in pairs(now.exit.headers) do
        pdk.response.apply(handle, { kind = "set", name = name, value = value })
      end
      replace_body(handle, now.exit.text)
      held = true
    end
  end
  if config.body_filter then
    local buffer = handle:body(true)
    local length = buffer:length()
    local before = length > 0 and buffer:getBytes(0, length) or ""
    local now = state.begin(handle, config.plugin, "body_filter")
    now.answer = before
    run(now, config.body_filter)
    if now.answer ~= before then
      replace_body(handle, now.answer)
    end
    held = true
  end
  return held
end

function envoy_on_response(handle)
  local config = context(handle)
  local plugin, held = config.plugin, false
  guard.response(handle, plugin, function()
    held = answer(handle, config)
  end)
  if not config.log then
    return
  end
  local done, problem = pcall(function()
    if not held then
      for _ in handle:bodyChunks() do
      end
    end
    run(state.begin(handle, plugin, "log"), config.log)
  end)
  if not done then
    handle:logErr(plugin .. ": " .. tostring(problem))
  end
end
