-- What people's functions may use: no files, no programs, no modules, no bytecode, and nothing by
-- which one of them could change what belongs to others.
local sandbox = {}

local DENIED = {}
for _, name in ipairs({
  "collectgarbage", "coroutine", "debug", "dofile", "ffi", "getfenv", "io", "jit", "load", "loadfile",
  "loadstring", "module", "newproxy", "package", "setfenv",
}) do
  DENIED[name] = true
end

local function copy(library, names)
  local found = {}
  for name in names:gmatch("%S+") do
    found[name] = library[name]
  end
  return found
end

local function tables_only(name, run)
  return function(value, ...)
    if type(value) ~= "table" then
      error(name .. " takes tables only", 2)
    elseif getmetatable(value) == false and name ~= "getmetatable" then
      error("this table cannot be changed", 2)
    end
    return run(value, ...)
  end
end

local MODULES = {}
local safe = { encode = function(value)
  local done, text = pcall(values.encode, value)
  if done then
    return text
  end
  return nil, text
end, decode = values.decode, null = values.null, array_mt = values.array_mt }
MODULES["cjson.safe"] = safe
MODULES.cjson = {
  null = values.null,
  array_mt = values.array_mt,
  encode = values.encode,
  decode = function(text)
    local value, problem = values.decode(text)
    if value == nil then
      error(problem, 2)
    end
    return value
  end,
}

local function new_globals()
  local found = copy(_G, "_VERSION assert error ipairs next pairs pcall rawequal select tonumber tostring type unpack xpcall")
  found.string = copy(
    string, "byte char find format gmatch gsub len lower match rep reverse sub upper"
  )
  found.table = copy(table, "concat foreach foreachi getn insert maxn move remove sort")
  found.table.unpack = unpack
  found.math = copy(
    math,
    "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf pi pow rad "
      .. "random sin sinh sqrt tan tanh"
  )
  found.os = pdk.closed("os", copy(os, "clock date difftime time"))
  found.bit = bit and copy(bit, "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex") or nil
  found.getmetatable = tables_only("getmetatable", getmetatable)
  found.setmetatable = tables_only("setmetatable", setmetatable)
  found.rawget = tables_only("rawget", rawget)
  found.rawset = tables_only("rawset", rawset)
  found.kong, found.ngx = pdk.kong, openresty.ngx
  found.print = function(...)
    pdk.say("notice")(...)
  end
  found.require = function(name)
    local module = MODULES[name] or error("require '" .. tostring(name) .. "' is not available here", 2)
    return setmetatable({}, { __index = module, __metatable = false })
  end
  return found
end

-- The program of a text, with globals of its own that last from one request to the next.
function sandbox.compile(text, name)
  local globals = new_globals()
  globals._G = globals
  setmetatable(globals, {
    __index = function(_, key)
      if DENIED[key] then
        error(key .. " is not available here", 2)
      end
    end,
    __metatable = false,
  })
  local chunk, problem = load(text, "=" .. name, "t", globals)
  if not chunk then
    error(problem, 0)
  end
  return chunk
end

return sandbox
