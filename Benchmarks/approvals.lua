-- wrk: agrees to the requests of a file in turn, each with the next of the sessions.
dofile(os.getenv("COMMON"))

local requests = lines(os.getenv("REQUESTS_FILE"))
local tokens = lines(os.getenv("TOKENS_FILE"))
local start = tonumber(os.getenv("START"))
local run = os.getenv("RUN")

function request()
  local i = sent
  sent = sent + 1
  return wrk.format("POST", "/api/v1/approvals/" .. requests[(start + i) % #requests + 1] .. "/approve", {
    ["Authorization"] = "Bearer " .. tokens[i % #tokens + 1], ["User-Agent"] = "postern-e2e",
    ["Content-Type"] = "application/json", ["Idempotency-Key"] = "bench-" .. run .. "-" .. i,
  }, '{"justification":"Known to the team, number ' .. i .. '"}')
end
