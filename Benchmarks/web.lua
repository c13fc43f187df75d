-- wrk: the paths of a file in turn, each with the next of the sessions. WHO is "cookie" (pages) or "bearer" (API).
local function lines(path)
  local out = {}
  for line in io.lines(path) do out[#out + 1] = line end
  return out
end

local paths = lines(os.getenv("PATHS_FILE"))
local tokens = lines(os.getenv("TOKENS_FILE"))
local start = tonumber(os.getenv("START"))
local cookie = os.getenv("COOKIE")
local threads = {}

function setup(thread) threads[#threads + 1] = thread end

function init() sent, wrong, example = 0, 0, "" end

function request()
  local i = sent
  sent = sent + 1
  local token = tokens[i % #tokens + 1]
  local headers = { ["User-Agent"] = "postern-e2e" }
  if cookie ~= "" then headers["Cookie"] = cookie .. "=" .. token else headers["Authorization"] = "Bearer " .. token end
  return wrk.format("GET", paths[(start + i) % #paths + 1], headers)
end

function response(status, _, body)
  if status ~= 200 and status ~= 303 then
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
    '\nRESULT {"requests":%d,"seconds":%.4f,"p50":%.3f,"p99":%.3f,"wrong":%d,"socket":%d,"sent":%d,"bytes":%d,"example":"%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, wrong,
    e.connect + e.read + e.write + e.timeout, used, summary.bytes, example))
end
