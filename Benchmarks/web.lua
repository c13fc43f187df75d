-- wrk: the paths of a file in turn, each with the next of the sessions. WHO is "cookie" (pages) or "bearer" (API).
dofile(os.getenv("COMMON"))

-- A search that finds exactly one leads to it.
function is_good(status) return status == 200 or status == 303 end

local paths = lines(os.getenv("PATHS_FILE"))
local tokens = lines(os.getenv("TOKENS_FILE"))
local start = tonumber(os.getenv("START"))
local cookie = os.getenv("COOKIE")

function request()
  local i = sent
  sent = sent + 1
  local token = tokens[i % #tokens + 1]
  local headers = { ["User-Agent"] = "postern-e2e" }
  if cookie ~= "" then headers["Cookie"] = cookie .. "=" .. token else headers["Authorization"] = "Bearer " .. token end
  return wrk.format("GET", paths[(start + i) % #paths + 1], headers)
end
