-- What the scripts for wrk share: it counts what was answered otherwise than well, and prints the result as one line of JSON.
function lines(path)
  local out = {}
  for line in io.lines(path) do out[#out + 1] = line end
  return out
end

local threads = {}

function setup(thread) threads[#threads + 1] = thread end

function init() sent, wrong, example = 0, 0, "" end

-- Where 303 is an answer too, a script says so.
function is_good(status) return status == 200 end

function response(status, _, body)
  if not is_good(status) then
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
