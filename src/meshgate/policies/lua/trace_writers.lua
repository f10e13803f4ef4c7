-- A trace as headers for the service, by format: {trace, span, parent, sampled, debug, digits}, where
-- `digits` is how long the client's id of the trace was.
local writers = {}

-- The trace's id as the client had it, where the format takes that, else in the format's own length.
local function trace_of(known, own, other)
  return trace_ids.sized(known.trace, known.digits == other and other or own)
end

local function flag(known)
  return known.sampled and "1" or "0"
end

function writers.w3c(headers, known)
  local flags = known.sampled and "01" or "00"
  headers:replace("traceparent", "00-" .. trace_of(known, 32) .. "-" .. known.span .. "-" .. flags)
end

function writers.b3(headers, known)
  headers:replace("x-b3-traceid", trace_of(known, 32, 16))
  headers:replace("x-b3-spanid", known.span)
  headers:remove("x-b3-parentspanid")
  if known.parent then
    headers:replace("x-b3-parentspanid", known.parent)
  end
  headers:remove(known.debug and "x-b3-sampled" or "x-b3-flags")
  headers:replace(known.debug and "x-b3-flags" or "x-b3-sampled", known.debug and "1" or flag(known))
end

writers["b3-single"] = function(headers, known)
  local parts = { trace_of(known, 32, 16), known.span, known.debug and "d" or flag(known), known.parent }
  headers:replace("b3", table.concat(parts, "-"))
end

function writers.jaeger(headers, known)
  local flags = known.sampled and "01" or "00"
  local parts = { trace_of(known, 32, 16), known.span, known.parent or "0", flags }
  headers:replace("uber-trace-id", table.concat(parts, ":"))
end

function writers.ot(headers, known)
  headers:replace("ot-tracer-traceid", trace_of(known, 16, 32))
  headers:replace("ot-tracer-spanid", known.span)
  headers:replace("ot-tracer-sampled", flag(known))
end

function writers.datadog(headers, known)
  headers:replace("x-datadog-trace-id", decimals.from_hex(trace_of(known, 16)))
  headers:replace("x-datadog-parent-id", decimals.from_hex(known.span))
  headers:replace("x-datadog-sampling-priority", flag(known))
end

function writers.aws(headers, known)
  local trace = trace_of(known, 32)
  local root = "Root=1-" .. trace:sub(1, 8) .. "-" .. trace:sub(9)
  headers:replace("x-amzn-trace-id", root .. ";Parent=" .. known.span .. ";Sampled=" .. flag(known))
end

function writers.gcp(headers, known)
  local span = decimals.from_hex(known.span)
  headers:replace("x-cloud-trace-context", trace_of(known, 32) .. "/" .. span .. ";o=" .. flag(known))
end

function writers.instana(headers, known)
  headers:replace("x-instana-t", trace_of(known, 32, 16))
  headers:replace("x-instana-s", known.span)
  headers:replace("x-instana-l", flag(known))
end

return writers
