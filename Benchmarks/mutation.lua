-- wrk: suspends a block of tenants, then restores it, then goes to the next block. Every request has a key of its own.
dofile(os.getenv("COMMON"))

local tenants = lines(os.getenv("TENANTS_FILE"))
local tokens = lines(os.getenv("TOKENS_FILE"))
local start = tonumber(os.getenv("START"))
local block = tonumber(os.getenv("BLOCK") or "400")
local run = os.getenv("RUN")

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
