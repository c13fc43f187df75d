-- wrk: suspends a block of tenants, then restores it, then goes to the next block. Every request has a key of its own.
local function lines(path)
  local out = {}
  for line in io.lines(path) do out[#out + 1] = line end
  return out
end

local tenants = lines(os.getenv("TENANTS_FILE"))
local tokens = lines(os.getenv("TOKENS_FILE"))
local start = tonumber(os.getenv("START"))
local block = 400
local run = os.getenv("RUN")
local threads = {}

function setup(thread) threads[#threads + 1] = thread end

function init() sent, wrong, example = 0, 0, "" end

function request()
  local i = sent
  sent = sent + 1
  local number = math.floor(i / block)
  local verb = number % 2 == 0 and "suspend" or "restore"
  local reason = number % 2 == 0 and "non_payment" or "payment_recovered"
  local tenant = tenants[(start + math.floor(number / 2) * block + i % block) % #tenants + 1]
  return wrk.format("POST", "/api/v1/tenants/" .. tenant .. "/" .. verb, {
    ["Authorization"] = "Bearer " .. tokens[i % #tokens + 1], ["User-Agent"] = "postern-e2e",
    ["Content-Type"] = "application/json", ["Idempotency-Key"] = "bench-" .. run .. "-" .. i,
  }, '{"input":{},"reason_code":"' .. reason .. '","justification":"Three invoices are unpaid since August, number ' .. i
    .. '","ticket":"NW-' .. i .. '"}')
end

function response(status, _, body)
  if status ~= 200 then
    wrong = wrong + 1
    if example == "" then example = status .. " " .. string.sub(string.gsub(body, '[\\"\n]', "'"), 1, 300) end
  end
end

function done(summary, latency)
  local wrong, used, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
    used = used + thread:get("sent")
    if example == "" then example = thread:get("example") end
  end
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%.4f,"p50":%.3f,"p99":%.3f,"wrong":%d,"socket":%d,"sent":%d,"example":"%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, wrong,
    e.connect + e.read + e.write + e.timeout, used, example))
end
