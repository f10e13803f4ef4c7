-- A trace as headers for the service, by format: {trace, span, parent, sampled, debug, digits}, where
-- `digits` is how long the client's id of the trace was. Each gives that id as it wrote it.
local writers = {}

-- The trace's id as the client had it, where the format takes that, else in the format's own length.
local function trace_of(known, own, other)
  return trace_ids.sized(known.trace, known.digits == other and other or own)
end

local function flag(known)
  return known.sampled and "1" or "0"
end

function writers.w3c(headers, known)
  local trace, flags = trace_of(known, 32), known.sampled and "01" or "00"
  headers:replace("traceparent", "00-" .. trace .. "-" .. known.span .. "-" .. flags)
  return trace
end

function writers.b3(headers, known)
  local trace = trace_of(known, 32, 16)
  headers:replace("x-b3-traceid", trace)
  headers:replace("x-b3-spanid", known.span)
  headers:remove("x-b3-parentspanid")
  if known.parent then
    headers:replace("x-b3-parentspanid", known.parent)
  end
  headers:remove(known.debug and "x-b3-sampled" or "x-b3-flags")
  headers:replace(known.debug and "x-b3-flags" or "x-b3-sampled", known.debug and "1" or flag(known))
  return trace
end

writers["b3-single"] = function(headers, known)
  local parts = { trace_of(known, 32, 16), known.span, known.debug and "d" or flag(known), known.parent }
  headers:replace("b3", table.concat(parts, "-"))
  return parts[1]
end

function writers.jaeger(headers, known)
  local flags = known.sampled and "01" or "00"
  local parts = { trace_of(known, 32, 16), known.span, known.parent or "0", flags }
  headers:replace("uber-trace-id", table.concat(parts, ":"))
  return parts[1]
end

function writers.ot(headers, known)
  local trace = trace_of(known, 16, 32)
  headers:replace("ot-tracer-traceid", trace)
  headers:replace("ot-tracer-spanid", known.span)
  headers:replace("ot-tracer-sampled", flag(known))
  return trace
end

function writers.datadog(headers, known)
  local trace = decimals.from_hex(trace_of(known, 16))
  headers:replace("x-datadog-trace-id", trace)
  headers:replace("x-datadog-parent-id", decimals.from_hex(known.span))
  headers:replace("x-datadog-sampling-priority", flag(known))
  return trace
end

function writers.aws(headers, known)
  local trace = trace_of(known, 32)
  local root = "Root=1-" .. trace:sub(1, 8) .. "-" .. trace:sub(9)
  headers:replace("x-amzn-trace-id", root .. ";Parent=" .. known.span .. ";Sampled=" .. flag(known))
  return trace
end

function writers.gcp(headers, known)
  local trace, span = trace_of(known, 32), decimals.from_hex(known.span)
  headers:replace("x-cloud-trace-context", trace .. "/" .. span .. ";o=" .. flag(known))
  return trace
end

function writers.instana(headers, known)
  local trace = trace_of(known, 32, 16)
  headers:replace("x-instana-t", trace)
  headers:replace("x-instana-s", known.span)
  headers:replace("x-instana-l", flag(known))
  return trace
end

return writers
