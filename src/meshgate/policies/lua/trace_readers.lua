-- What a request's headers say of a trace, by format. Each gives nil where its headers are not there or
-- say nothing that can be read, else {trace, span, parent, sampled, shared, single, debug}: ids as the
-- client wrote them, `shared` where the span is the client's and the server's own.
local readers = {}

-- All headers that any of them reads, or that a trace is written in.
readers.NAMES = {
  "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
  "traceparent", "uber-trace-id", "ot-tracer-sampled", "ot-tracer-traceid", "ot-tracer-spanid",
  "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-amzn-trace-id",
  "x-cloud-trace-context", "x-instana-t", "x-instana-s", "x-instana-l",
}

local FLAGS = { ["0"] = false, ["1"] = true, ["false"] = false, ["true"] = true }

-- A header that is there once.
local function once(headers, name)
  return headers:getNumValues(name) == 1 and headers:getAtIndex(name, 0) or nil
end

local function any(headers, ...)
  for _, name in ipairs({ ... }) do
    if headers:get(name) then
      return true
    end
  end
  return false
end

local function hex(text, ...)
  if text and not text:find("%X") and text:find("[^0]") then
    for _, digits in ipairs({ ... }) do
      if #text == digits then
        return text:lower()
      end
    end
  end
  return nil
end

local function single_b3(text)
  if text == "0" or text == "1" or text == "d" then
    return { sampled = text ~= "0", debug = text == "d" }
  end
  local trace, span, state, parent = text:match("^(%x+)%-(%x+)%-?([01d]?)%-?(%x*)$")
  local known = { trace = hex(trace, 16, 32), span = hex(span, 16), single = true }
  if not known.trace or not known.span or (parent ~= "" and #parent ~= 16) then
    return {}
  end
  known.parent = hex(parent, 16)
  if state ~= "" then
    known.sampled, known.debug = state ~= "0", state == "d"
  end
  return known
end

function readers.b3(headers)
  local names = { "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags" }
  local single = once(headers, "b3")
  if not single and not any(headers, unpack(names)) then
    return nil
  end
  local found = single and single_b3(single) or {}
  found.single = single ~= nil
  found.shared = true
  local flags = once(headers, "x-b3-flags")
  if found.sampled == nil then
    found.sampled = FLAGS[once(headers, "x-b3-sampled") or ""]
  end
  if flags == "1" then
    found.sampled, found.debug = true, true
  end
  if not found.trace then
    local trace, span, parent = once(headers, names[1]), once(headers, names[2]), once(headers, names[3])
    local well = hex(trace, 16, 32) and (not span or hex(span, 16)) and (not parent or hex(parent, 16))
    if well then
      found.trace, found.span, found.parent = hex(trace, 16, 32), hex(span, 16), hex(parent, 16)
    end
  end
  return found
end

function readers.w3c(headers)
  local text = once(headers, "traceparent") or ""
  local version, trace, span, flags = text:match("^(%x%x)%-(%x+)%-(%x+)%-(%x%x)$")
  if version ~= "00" or not hex(trace, 32) or not hex(span, 16) then
    return nil
  end
  return { trace = hex(trace, 32), span = hex(span, 16), sampled = tonumber(flags, 16) % 2 == 1 }
end

function readers.jaeger(headers)
  local text = once(headers, "uber-trace-id") or ""
  local trace, span, parent, flags = text:match("^(%x+):(%x+):(%x+):(%x%x?)$")
  if not trace or #trace > 32 or #span > 16 or not trace:find("[^0]") or not span:find("[^0]") then
    return nil
  end
  return {
    trace = trace:lower(),
    span = span:lower(),
    parent = hex(parent, 16),
    sampled = tonumber(flags, 16) % 2 == 1,
    shared = true,
  }
end

function readers.ot(headers)
  if not any(headers, "ot-tracer-sampled", "ot-tracer-traceid", "ot-tracer-spanid") then
    return nil
  end
  local found = { sampled = FLAGS[once(headers, "ot-tracer-sampled") or ""] }
  local trace, span = once(headers, "ot-tracer-traceid"), once(headers, "ot-tracer-spanid")
  if hex(trace, 16, 32) and (not span or hex(span, 16)) then
    found.trace, found.span = hex(trace, 16, 32), hex(span, 16)
  end
  return found
end

local PRIORITIES = { ["-1"] = false, ["0"] = false, ["1"] = true, ["2"] = true }

local function decimal(text)
  local digits = text and text:match("^%s*(%d+)%s*$")
  local found = digits and decimals.to_hex(digits)
  return found ~= "" and found or nil
end

function readers.datadog(headers)
  local names = { "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority" }
  if not any(headers, unpack(names)) then
    return nil
  end
  local priority = once(headers, names[3])
  if priority and PRIORITIES[priority] == nil then
    return nil
  end
  local trace = decimal(once(headers, names[1]))
  return {
    trace = trace,
    span = trace and decimal(once(headers, names[2])),
    sampled = priority and PRIORITIES[priority],
  }
end

function readers.aws(headers)
  local text = once(headers, "x-amzn-trace-id")
  if not text then
    return nil
  end
  local found = {}
  for key, value in text:gmatch("%s*([^;=%s]+)%s*=%s*([^;%s]+)%s*") do
    if key == "Root" then
      local time, rest = value:match("^1%-(%x+)%-(%x+)$")
      found.trace = time and #time == 8 and hex(time .. rest, 32)
      if not found.trace then
        return nil
      end
    elseif key == "Parent" then
      found.span = hex(value, 16)
      if not found.span then
        return nil
      end
    elseif key == "Sampled" and (value == "0" or value == "1") then
      found.sampled = value == "1"
    end
  end
  return found
end

function readers.gcp(headers)
  local text = once(headers, "x-cloud-trace-context") or ""
  local trace, span, rest = text:match("^(%x+)/(%d+)(.*)$")
  local flag = rest and rest:match("^;o=(%d)$")
  if not hex(trace, 32) or #span > 20 or not (rest == "" or flag) then
    return nil
  end
  return { trace = hex(trace, 32), span = decimal(span), sampled = flag == "1" }
end

function readers.instana(headers)
  local trace = (once(headers, "x-instana-t") or ""):match("^%x+")
  local span = (once(headers, "x-instana-s") or ""):match("^%x+")
  if not hex(trace, 16, 32) or not span or not span:find("[^0]") then
    return nil
  end
  local level = once(headers, "x-instana-l")
  return { trace = hex(trace, 16, 32), span = span:lower(), sampled = level and level:sub(1, 1) == "1" }
end

return readers
